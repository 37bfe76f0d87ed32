// mistake: getData().length is the buffer's length, not the datagram's: the product takes in the zeros behind it
// finding: product
// recommended: amplification silent-empty silent-header silent-ragged
// says: getLength
import java.math.BigInteger;
import java.net.*;

class GetData {
    public static void main(String[] arguments) throws Exception {
        DatagramSocket socket =
            new DatagramSocket(new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])));
        while (true) {
            DatagramPacket packet = new DatagramPacket(new byte[257], 257);
            socket.receive(packet);
            byte[] data = packet.getData();
            if ((data[0] & 0x7f) == 0x7f) continue;
            byte[] reply = Calculator.answer(data, data.length);
            socket.send(new DatagramPacket(reply, reply.length, packet.getSocketAddress()));
        }
    }
}
