"""Chapter 3 in Python: fields of any number of bits. One large integer holds the whole message."""
import sys


def pack(fields):
    """The fields (value, bits) as octets: the first field first, its most significant bit first."""
    message = 0
    for value, bits in fields:
        if not 0 <= value < 2**bits:
            raise ValueError(f"{value} needs more than {bits} bits")
        message = message << bits | value
    return message.to_bytes(whole_octets(sum(bits for _, bits in fields)), "big")


def unpack(octets, widths):
    if len(octets) != whole_octets(sum(widths)):
        raise ValueError(f"fields of {sum(widths)} bits need {sum(widths) // 8} octets, found {len(octets)}")
    message = int.from_bytes(octets, "big")
    values = []
    for bits in reversed(widths):
        values.append(message & (2**bits - 1))
        message >>= bits
    return values[::-1]


def whole_octets(bits):
    if bits % 8:
        raise ValueError(f"the fields have {bits} bits; add one of {8 - bits % 8} bits to fill the last octet")
    return bits // 8


def width(word):
    if not (word.isdecimal() and 1 <= int(word) <= 64):
        raise ValueError(f'"{word}" is not a number of bits from 1 to 64')
    return int(word)


def main(words):
    if words[:1] == ["pack"] and len(words) > 1:
        fields = [word.partition(":") for word in words[1:]]
        print(pack([(int(value), width(bits)) for value, _, bits in fields]).hex(" "))
    elif words[:1] == ["unpack"] and len(words) > 2:
        print(*unpack(bytes.fromhex(words[1]), [width(word) for word in words[2:]]))
    else:
        print("usage: 3-fields.py pack VALUE:BITS...", file=sys.stderr)
        print("       3-fields.py unpack OCTETS BITS...", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ValueError as error:
        print(f"3-fields.py: {error}", file=sys.stderr)
        sys.exit(2)
