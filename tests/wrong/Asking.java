import java.net.*;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.function.BiFunction;

/** A right client in Java; how a reply is read is left to the program. */
class Asking {
    static void ask(String[] words, BiFunction<byte[], Boolean, String> read) throws Exception {
        boolean text = words[2].equals("-s");
        int at = text ? 3 : 2, count = words.length - at - 2;
        if (count > 64) fail("at most 64 operands");
        ByteBuffer request = ByteBuffer.allocate(1 + 4 * count).put((byte) ((words[1].equals("*") ? 2 : 0) | (text ? 1 : 0)));
        for (int i = 0; i < count; i++) {
            long operand = Long.parseLong(words[at + 2 + i]);
            if (operand < 0 || operand > 0xffffffffL) fail("an operand from 0 to 4294967295 expected");
            request.putInt((int) operand);
        }
        DatagramSocket socket = new DatagramSocket();
        socket.connect(InetAddress.getByName(words[at]), Integer.parseInt(words[at + 1]));
        for (int attempt = 0; attempt < 3; attempt++) {
            socket.send(new DatagramPacket(request.array(), request.capacity()));
            long deadline = System.nanoTime() + (250_000_000L << attempt);
            for (long left; (left = deadline - System.nanoTime()) > 1_000_000; ) {
                DatagramPacket packet = new DatagramPacket(new byte[65536], 65536);
                socket.setSoTimeout((int) (left / 1_000_000));
                try {
                    socket.receive(packet);
                } catch (SocketTimeoutException timeout) {
                    break;
                }
                byte[] reply = Arrays.copyOf(packet.getData(), packet.getLength());
                if (reply.length > 0 && reply[0] >= 0) fail("the server reports an error");
                if (text && reply.length > 2 && reply[reply.length - 1] == 0) reply = Arrays.copyOf(reply, reply.length - 1);
                boolean counts = text
                    ? reply.length > 1 && reply.length <= 257 && new String(reply, 1, reply.length - 1).matches("-?[0-9]+")
                    : reply.length == 5;
                if (counts) {
                    System.out.println("Result: " + read.apply(reply, text));
                    System.exit(0);
                }
            }
        }
        fail("no reply");
    }

    static void fail(String message) {
        System.err.println(message);
        System.exit(1);
    }
}
