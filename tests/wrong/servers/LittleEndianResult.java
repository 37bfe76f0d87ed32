// mistake: the result is written in little-endian order
// finding: sum
// says: result is in little-endian order
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

class LittleEndianResult {
    public static void main(String[] arguments) throws Exception {
        DatagramSocket socket =
            new DatagramSocket(new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])));
        while (true) {
            DatagramPacket packet = new DatagramPacket(new byte[1024], 1024);
            socket.receive(packet);
            byte[] reply = Calculator.answer(packet.getData(), packet.getLength());
            if (reply == null) continue;
            if (reply.length == 5 && (packet.getData()[0] & 1) == 0) {
                int value = ByteBuffer.wrap(reply, 1, 4).getInt();
                ByteBuffer.wrap(reply, 1, 4).order(ByteOrder.LITTLE_ENDIAN).putInt(value);
            }
            socket.send(new DatagramPacket(reply, reply.length, packet.getSocketAddress()));
        }
    }
}
