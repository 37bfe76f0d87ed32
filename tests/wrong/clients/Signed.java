// mistake: Java's int is signed, and prints results over 2^31 as negative numbers
// finding: unsigned-reply
// says: signed
class Signed {
    public static void main(String[] arguments) throws Exception {
        Asking.ask(arguments, (reply, text) -> text
            ? new String(reply, 1, reply.length - 1)
            : "" + java.nio.ByteBuffer.wrap(reply, 1, 4).getInt());
    }
}
