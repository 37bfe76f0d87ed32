import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer; // TODO: its getInt and putInt use network byte order  [1.3]
import java.util.ArrayList;
import java.util.List;

/**
 * The client of the calculator, to be filled in where it says TODO.
 *
 * java Client -op OPERATOR [-s] HOST PORT INTEGER..., for example: java Client -op + ::1 10000 1 3 5 7 9
 *
 * The clauses in brackets are those of docs/protocol.md. To build it: javac Client.java. To check it: lab check client
 * -- java Client
 */
class Client {
    static final int FIRST_WAIT = 1000; // milliseconds  [5.1]
    static final int TRIES = 4;
    static final int MAX_REPLY = 257; // [2.5]

    /**
     * The octets of a request, or null as long as this is not written.
     *
     * One octet: four unused bits, which are 0, three bits of opcode (+ is 0, * is 1), one bit F (1 asks for text);
     * then the operands, four octets each, the most significant octet first.  [2.1 to 2.4]
     */
    static byte[] request(String operator, boolean text, List<Long> operands) {
        // TODO
        return null;
    }

    /** Sends a request, prints the result, and returns the exit status. */
    static int ask(DatagramSocket socket, byte[] request, boolean text) throws IOException {
        // TODO: send the octets.
        // TODO: receive, into MAX_REPLY octets and one more; packet.getLength() says how much came.
        // TODO: a datagram that is no reply does not count: receive again.  [2.8]
        // TODO: S, the most significant bit, is 0: an error. A message on stderr, and return 1.  [2.6]
        // TODO: else print "Result: " and Integer.toUnsignedString (F = 0), or the digits (F = 1).  [2.4]
        // TODO: nothing within FIRST_WAIT (setSoTimeout): send again, then wait twice as long; TRIES in all.  [5.1]
        System.err.println("client: no reply");
        return 1;
    }

    static void usage() {
        System.err.println("usage: java Client -op + | * [-s] HOST PORT INTEGER...");
        System.exit(2);
    }

    public static void main(String[] words) throws IOException {
        String operator = null;
        boolean text = false;
        int at = 0;
        while (at < words.length && words[at].startsWith("-")) {
            String option = words[at++];
            if ((option.equals("-op") || option.equals("--op")) && at < words.length) {
                operator = words[at++];
            } else if (option.equals("-s") || option.equals("--string")) {
                text = true;
            } else {
                usage();
            }
        }
        if (!"+".equals(operator) && !"*".equals(operator) || words.length - at < 3) {
            usage();
        }
        List<Long> operands = new ArrayList<>();
        for (int operand = at + 2; operand < words.length; operand++) {
            operands.add(Long.parseLong(words[operand]));
        }
        byte[] request = request(operator, text, operands);
        if (request == null) {
            System.err.println("client: there is no request yet: fill in request");
            System.exit(1);
        }
        try (DatagramSocket socket = new DatagramSocket()) {
            // What comes from elsewhere never reaches a connected socket.  [2.8]
            socket.connect(new InetSocketAddress(words[at], Integer.parseInt(words[at + 1])));
            System.exit(ask(socket, request, text));
        }
    }
}
