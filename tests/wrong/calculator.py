"""A right answer and a right client in Python, for programs whose mistake is elsewhere."""
import math
import socket
import struct
import sys

UNKNOWN = b"\x7f"


def is_request(datagram):
    return 5 <= len(datagram) <= 257 and len(datagram) % 4 == 1 and datagram[0] & 0x7F != 0x7F


def operands(datagram):
    return struct.unpack(f"!{len(datagram) // 4}I", datagram[1:])


def answer(datagram):
    """The reply to a datagram, or None."""
    if not is_request(datagram):
        return None
    opcode, text = datagram[0] >> 1 & 7, datagram[0] & 1
    if opcode > 1:
        return UNKNOWN
    result = math.prod(operands(datagram)) if opcode else sum(operands(datagram))
    if text:
        digits = str(result).encode()
        return b"\xff" + digits if len(digits) <= 256 else UNKNOWN
    return b"\xff" + result.to_bytes(4, "big") if result < 2**32 else UNKNOWN


def bound_socket(host=None, port=None):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind((host or sys.argv[1], int(port or sys.argv[2])))
    return server


def arguments():
    """operator, whether text is wanted, address, operands: of -op OPERATOR [-s] HOST PORT INTEGER..."""
    words = sys.argv[1:]
    text = "-s" in words
    words = [word for word in words if word != "-s"]
    numbers = [int(word) for word in words[4:]]
    if len(numbers) > 64 or not all(0 <= number < 2**32 for number in numbers):
        sys.exit("1 to 64 operands from 0 to 4294967295 expected")
    return words[1], text, (words[2], int(words[3])), numbers


def request(operator, text, numbers):
    return bytes([(operator == "*") << 1 | text]) + struct.pack(f"!{len(numbers)}I", *numbers)


def result(reply, text):
    """The result, "error", or None for what is no reply."""
    if reply and not reply[0] & 0x80:
        return "error"
    if not text:
        return int.from_bytes(reply[1:], "big") if len(reply) == 5 else None
    digits = reply[1:].removesuffix(b"\0")
    return digits.decode() if len(reply) <= 257 and digits.removeprefix(b"-").isdigit() else None


def finish(found):
    """Prints a result and ends; goes on after what is no reply."""
    if found == "error":
        sys.exit("the server reports an error")
    if found is not None:
        print(f"Result: {found}")
        sys.exit(0)
