import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** A right answer in Java, for programs whose mistake is elsewhere. */
class Calculator {
    static final byte[] UNKNOWN = {0x7f};

    static boolean isRequest(byte[] datagram, int length) {
        return length >= 5 && length <= 257 && length % 4 == 1 && (datagram[0] & 0x7f) != 0x7f;
    }

    /** The reply to a datagram, or null. */
    static byte[] answer(byte[] datagram, int length) {
        if (!isRequest(datagram, length)) return null;
        int opcode = datagram[0] >> 1 & 7;
        if (opcode > 1) return UNKNOWN;
        BigInteger result = BigInteger.valueOf(opcode);
        for (int at = 1; at < length; at += 4) {
            BigInteger operand = new BigInteger(1, datagram, at, 4);
            result = opcode == 1 ? result.multiply(operand) : result.add(operand);
        }
        return reply((datagram[0] & 1) == 1, result);
    }

    static byte[] reply(boolean text, BigInteger result) {
        if (text) {
            byte[] digits = result.toString().getBytes(StandardCharsets.US_ASCII);
            if (digits.length > 256) return UNKNOWN;
            return ByteBuffer.allocate(1 + digits.length).put((byte) 0xff).put(digits).array();
        }
        if (result.bitLength() > 32) return UNKNOWN;
        return ByteBuffer.allocate(5).put((byte) 0xff).putInt(result.intValue()).array();
    }
}
