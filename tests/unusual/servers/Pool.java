// unusual: a pool of threads over a channel
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.util.concurrent.*;

class Pool {
    public static void main(String[] arguments) throws Exception {
        DatagramChannel channel = DatagramChannel.open();
        channel.bind(new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])));
        ExecutorService pool = Executors.newFixedThreadPool(4);
        while (true) {
            ByteBuffer buffer = ByteBuffer.allocate(65536);
            var client = channel.receive(buffer);
            pool.submit(() -> {
                byte[] reply = Calculator.answer(buffer.array(), buffer.position());
                return reply == null ? 0 : channel.send(ByteBuffer.wrap(reply), client);
            });
        }
    }
}
