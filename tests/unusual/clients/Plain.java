// unusual: a virtual machine that takes its time to start
class Plain {
    public static void main(String[] arguments) throws Exception {
        Asking.ask(arguments, (reply, text) -> text
            ? new String(reply, 1, reply.length - 1)
            : Integer.toUnsignedString(java.nio.ByteBuffer.wrap(reply, 1, 4).getInt()));
    }
}
