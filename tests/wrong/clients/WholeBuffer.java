// mistake: a string is made of the whole buffer, NULs included
// finding: text-reply
// says: getLength
import java.util.Arrays;

class WholeBuffer {
    public static void main(String[] arguments) throws Exception {
        Asking.ask(arguments, (reply, text) -> text
            ? new String(Arrays.copyOfRange(reply, 1, 257))
            : Integer.toUnsignedString(java.nio.ByteBuffer.wrap(reply, 1, 4).getInt()));
    }
}
