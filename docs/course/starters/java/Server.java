import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer; // TODO: its getInt and putInt use network byte order  [1.3]

/**
 * The server of the calculator, to be filled in where it says TODO.
 *
 * java Server HOST PORT, for example: java Server :: 10000
 *
 * The clauses in brackets are those of docs/protocol.md. To build it: javac Server.java. To check it: lab check server
 * -- java Server
 */
class Server {
    static final int MAX_DATAGRAM = 65535;

    /**
     * The octets that answer a request, or null if it gets no answer. Of datagram the first length octets have arrived.
     *
     * datagram[0]    one octet: four unused bits, three bits of opcode, one bit F  [2.1]
     * datagram[1]... the operands, four octets each, the most significant octet first; they are unsigned, and Java's
     *                int is not: Integer.toUnsignedLong
     */
    static byte[] answer(byte[] datagram, int length) {
        // TODO: check the length: 1 + 4n octets, 1 <= n <= 64. All else gets no answer.  [2.7]
        // TODO: a datagram that begins with 0xFF or 0x7F is a reply: no answer. Java's bytes are signed.  [4.1]
        // TODO: take opcode and F out of datagram[0]; ignore the unused bits.  [2.2, 2.3, 2.4]
        // TODO: read the operands, and compute their sum or their product (java.math.BigInteger).  [2.3, 2.9]
        // TODO: an unknown opcode, or a result that does not fit, is an error: S = 0.  [2.6, 2.9]
        // TODO: else a success, S = 1, and the result: four octets (F = 0) or ASCII digits (F = 1).  [2.5, 2.4]
        return null;
    }

    public static void main(String[] words) throws IOException {
        if (words.length != 2) {
            System.err.println("usage: java Server HOST PORT");
            System.exit(2);
        }
        try (DatagramSocket socket = new DatagramSocket(new InetSocketAddress(words[0], Integer.parseInt(words[1])))) {
            byte[] datagram = new byte[MAX_DATAGRAM];
            while (true) {
                // A new one each time: receive() shortens it to the length of what came.
                DatagramPacket packet = new DatagramPacket(datagram, datagram.length);
                socket.receive(packet);
                byte[] reply = answer(packet.getData(), packet.getLength());
                if (reply != null) {
                    socket.send(new DatagramPacket(reply, reply.length, packet.getSocketAddress()));
                }
            }
        }
    }
}
