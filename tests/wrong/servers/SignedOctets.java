// mistake: Java's bytes are signed: without & 0xff an octet over 127 is a negative number
// finding: sum
// says: signed
import java.math.BigInteger;
import java.net.*;

class SignedOctets {
    public static void main(String[] arguments) throws Exception {
        DatagramSocket socket =
            new DatagramSocket(new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])));
        while (true) {
            DatagramPacket packet = new DatagramPacket(new byte[1024], 1024);
            socket.receive(packet);
            byte[] data = packet.getData();
            for (int at = 1; at + 4 <= packet.getLength(); at += 4) {
                int operand = (data[at] << 24) + (data[at + 1] << 16) + (data[at + 2] << 8) + data[at + 3];
                for (int octet = 0; octet < 4; octet++) data[at + octet] = (byte) (operand >> 8 * (3 - octet));
            }
            byte[] reply = Calculator.answer(data, packet.getLength());
            if (reply != null) socket.send(new DatagramPacket(reply, reply.length, packet.getSocketAddress()));
        }
    }
}
