"""Lab 6: the extended form, version 1. The clauses in brackets are those of docs/protocol.md."""
import functools
import math
import operator
import struct

HEADER = 12
MAX_REQUEST = MAX_REPLY = 1232  # [4.2]
MAX_BITS = 8 * MAX_REPLY
OVER_LIMIT = 2**32 - 1  # [3.10]
OK, MALFORMED, UNKNOWN, DIVISION, TOO_LARGE, UNSUPPORTED, DOMAIN = range(7)
TEXTS = {
    MALFORMED: b"malformed",
    UNKNOWN: b"unknown operator",
    DIVISION: b"division by zero",
    TOO_LARGE: b"result too large",
    UNSUPPORTED: b"unsupported",
    DOMAIN: b"negative exponent",
}
DESCRIPTION = b"calc6-lab-6 1\noperators=+*-/%^gl<>&|~?\nlargest-reply=1232\n"


class Refused(Exception):
    """A status other than 0, and for status 4 the octets that the reply needs."""

    def __init__(self, status, needed=None):
        super().__init__(status)
        self.status, self.needed = status, needed


def quotient(a, b):
    """Truncated towards zero, where Python's // rounds down.  [3.4]"""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def power(base, exponent):
    """Refused uncomputed if its least size is over the limit.  [4.3]"""
    if abs(base) >= 2 and (base.bit_length() - 1) * exponent + 1 > MAX_BITS:
        raise Refused(TOO_LARGE, OVER_LIMIT)
    if abs(base) < 2:
        return base ** (exponent % 2 if exponent > 1 and base else exponent)
    return base**exponent


# Operator: its function of two operands, and how many operands it takes.
OPERATORS = {
    "+": (operator.add, 1, None),
    "*": (operator.mul, 1, None),
    "-": (operator.sub, 1, None),
    "/": (quotient, 2, None),
    "%": (lambda a, b: a - b * quotient(a, b), 2, None),
    "^": (power, 2, 2),
    "g": (math.gcd, 1, None),
    "l": (math.lcm, 1, None),
    "<": (min, 1, None),
    ">": (max, 1, None),
    "&": (operator.and_, 1, None),
    "|": (operator.or_, 1, None),
    "~": (operator.xor, 1, None),
    "?": (None, 0, None),
}


def answer(request):
    """The reply to a datagram with opcode 7, version 1, and at least 12 octets."""
    as_text, identifier = request[0] & 1, request[4:HEADER]
    limit = min(3 * len(request), MAX_REPLY)  # [4.2]
    try:
        symbol, operands = checked(request)
        result, as_text = (DESCRIPTION, 1) if symbol == "?" else (written(compute(symbol, operands), as_text), as_text)
        if HEADER + len(result) > limit:
            length = HEADER + len(result)
            raise Refused(TOO_LARGE, length if length <= MAX_REPLY else OVER_LIMIT)
        return bytes([0xFF, OK, as_text, 0]) + identifier + result
    except Refused as refused:
        text = TEXTS[refused.status]
        if refused.needed is not None:
            text = struct.pack("!I", refused.needed) + text
        return (bytes([0x7F, refused.status, 1, 0]) + identifier + text)[:limit]


def checked(request):
    """Operator and operands. The first check that fails decides.  [3.9]"""
    symbol, width, body = chr(request[1]), request[2], request[HEADER:]
    if len(request) > MAX_REQUEST or request[3] != 0:
        raise Refused(UNSUPPORTED)
    if symbol not in OPERATORS:
        raise Refused(UNKNOWN)
    if width == 0 and body or width and len(body) % width:
        raise Refused(MALFORMED)
    octets = [body[at : at + width] for at in range(0, len(body), width or 1)]
    operands = [int.from_bytes(operand, "big", signed=True) for operand in octets]  # [3.6]
    _, least, most = OPERATORS[symbol]
    if len(operands) < least or most is not None and len(operands) > most:
        raise Refused(MALFORMED)
    if symbol == "^" and operands[1] < 0:
        raise Refused(DOMAIN)
    if symbol in "/%" and 0 in operands[1:]:
        raise Refused(DIVISION)
    return symbol, operands


def compute(symbol, operands):
    if len(operands) == 1:
        return {"-": -operands[0], "g": abs(operands[0]), "l": abs(operands[0])}.get(symbol, operands[0])  # [3.4]
    return functools.reduce(OPERATORS[symbol][0], operands)


def written(number, as_text):
    """ASCII, or two's complement of the least width.  [3.8]"""
    if as_text:
        return str(number).encode("ascii")
    bits = (number if number >= 0 else ~number).bit_length() + 1
    return number.to_bytes((bits + 7) // 8, "big", signed=True)
