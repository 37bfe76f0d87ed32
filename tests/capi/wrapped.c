// Checks every call that the functions of the last two exercises make.
#include "wrap.h"

#include "calc6.h"

static int ints[65] = {1, 3, 5, 7, 9};
static int result;

static int ask(int *list, size_t count, char operation, char format) {
    result = -77;
    return create_and_send_message(ADDRESS, ADDRESS_LENGTH, list, count, operation, format, &result);
}

static void client_calls(void) {
    begin("client_calls", "\xff\0\0\0\x19", 5);
    CHECK(ask(ints, 5, '+', 'd') == 0);
    CHECK(result == 25);
    CHECK(strcmp(order, "scSRX") == 0);
    CHECK(socket_call.domain == AF_INET6 && socket_call.type == SOCK_DGRAM && socket_call.protocol == 0);
    CHECK(connect_call.fd == DESCRIPTOR && connect_call.address == ADDRESS && connect_call.length == ADDRESS_LENGTH);
    CHECK(send_call.fd == DESCRIPTOR && send_call.flags == 0);
    CHECK(recv_call.fd == DESCRIPTOR && recv_call.flags == 0 && recv_call.length >= 257);
    CHECK(closed == DESCRIPTOR);

    begin("client_calls: descriptor 0", "\xff\0\0\0\x19", 5);
    returns.socket = 0;
    CHECK(ask(ints, 5, '+', 'd') == 0);
    CHECK(connect_call.fd == 0 && send_call.fd == 0 && recv_call.fd == 0 && closed == 0);

    begin("client_calls: null address", "\xff\0\0\0\x19", 5);
    CHECK(create_and_send_message(NULL, 0, ints, 5, '+', 'd', &result) == 0);
    CHECK(connect_call.address == NULL && connect_call.length == 0);
}

static void client_sends(void) {
    const char *odd = "\0\0\0\1\0\0\0\3\0\0\0\5\0\0\0\7\0\0\0\x09";
    const struct { char operation, format; uint8_t header; } forms[] = {
        {'+', 'd', 0x00}, {'+', 's', 0x01}, {'*', 'd', 0x02}, {'*', 's', 0x03}};
    for (int i = 0; i < 4; i++) {
        begin("client_sends", forms[i].format == 'd' ? "\xff\0\0\0\x2a" : "\xff" "42", forms[i].format == 'd' ? 5 : 3);
        CHECK(ask(ints, 5, forms[i].operation, forms[i].format) == 0);
        CHECK(result == 42);
        CHECK(send_call.length == 21 && send_call.octets[0] == forms[i].header);
        CHECK(memcmp(send_call.octets + 1, odd, 20) == 0);
    }
    begin("client_sends: negative integers", "\xff\xff\xff\xff\xfe", 5);
    CHECK(ask((int[]){-1, INT_MIN}, 2, '+', 'd') == 0);
    CHECK(send_call.length == 9 && memcmp(send_call.octets, "\0\xff\xff\xff\xff\x80\0\0\0", 9) == 0);
    CHECK(result == -2);

    begin("client_sends: 64 integers", "\xff\0\0\0\x19", 5);
    CHECK(ask(ints, 64, '+', 'd') == 0);
    CHECK(send_call.length == 257);

    begin("client_sends: an empty list", "\xff\0\0\0\0", 5);
    CHECK(ask(NULL, 0, '+', 'd') == 0);
    CHECK(send_call.length == 1 && send_call.octets[0] == 0x00);
    CHECK(result == 0);
    begin("client_sends: an empty list, not null", "\xff" "1", 2);
    CHECK(ask(ints, 0, '*', 's') == 0);
    CHECK(send_call.length == 1 && send_call.octets[0] == 0x03);
    CHECK(result == 1);
}

static void client_stops_at_the_first_failure(void) {
    begin("client: socket fails", "\xff\0\0\0\x19", 5);
    returns.socket = -1, failing_errno = EMFILE;
    CHECK(ask(ints, 5, '+', 'd') == -1);
    CHECK(errno == EMFILE && strcmp(order, "s") == 0);

    begin("client: connect fails", "\xff\0\0\0\x19", 5);
    returns.connect = -1;
    CHECK(ask(ints, 5, '+', 'd') == -1);
    CHECK(errno == EHOSTUNREACH && strcmp(order, "scX") == 0);

    begin("client: send fails", "\xff\0\0\0\x19", 5);
    returns.send = -1, failing_errno = ECONNREFUSED;
    CHECK(ask(ints, 5, '+', 'd') == -1);
    CHECK(errno == ECONNREFUSED && strcmp(order, "scSX") == 0);

    // Nothing is sent twice, not even after a timeout or a signal.
    const int once[] = {ECONNREFUSED, EAGAIN, EINTR};
    for (int i = 0; i < 3; i++) {
        begin("client: recv fails", NULL, -1);
        failing_errno = once[i];
        CHECK(ask(ints, 5, '+', 'd') == -1);
        CHECK(errno == once[i] && strcmp(order, "scSRX") == 0);
        CHECK(result == -77);
    }
}

// A count other than the expected one is not a failure: the exercise's own graders return such counts.
static void only_minus_one_is_a_failure(void) {
    const int counts[] = {0, 1, 4, 1000, INT_MAX, -2};
    for (int i = 0; i < 6; i++) {
        begin("only -1 of send", "\xff\0\0\0\x19", 5);
        returns.send = counts[i];
        CHECK(ask(ints, 5, '+', 'd') == 0);
        CHECK(result == 25 && strcmp(order, "scSRX") == 0);

        begin("only -1 of sendto", "\0\0\0\0\1", 5);
        returns.sendto = counts[i];
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
        CHECK(strcmp(order, "sbFTX") == 0);
    }
}

static void a_failing_close_is_ignored(void) {
    begin("close fails: client", "\xff\0\0\0\x19", 5);
    returns.close = -1;
    CHECK(ask(ints, 5, '+', 'd') == 0 && result == 25);
    begin("close fails: server", "\0\0\0\0\1", 5);
    returns.close = -1;
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
    begin("close fails after another call", "\xff\0\0\0\x19", 5);
    returns.connect = returns.close = -1;
    CHECK(ask(ints, 5, '+', 'd') == -1);
    CHECK(errno == EHOSTUNREACH);
}

static void arguments_are_looked_at_after_socket(void) {
    // If socket(2) fails, even invalid pointers are never dereferenced.
    begin("arguments: socket first", NULL, -1);
    returns.socket = -1;
    int *nowhere = (int *)0xdeadbeef;
    CHECK(create_and_send_message(ADDRESS, 42, nowhere, 64, '?', '?', nowhere) == -1);
    CHECK(strcmp(order, "s") == 0);

    begin("arguments: all null", NULL, -1);
    CHECK(create_and_send_message(NULL, 0, NULL, 0, 0, 0, NULL) == -1);
    CHECK(strcmp(order, "scX") == 0);

    const struct { int *list; size_t count; char operation, format; int *result; int error; } wrong[] = {
        {ints, 5, '-', 'd', &result, EINVAL},       {ints, 5, '+', 'x', &result, EINVAL},
        {ints, 5, '+', '\0', &result, EINVAL},      {ints, 65, '+', 'd', &result, EMSGSIZE},
        {ints, SIZE_MAX, '+', 'd', &result, EMSGSIZE}, {NULL, 1, '+', 'd', &result, EFAULT},
        {ints, 5, '+', 'd', NULL, EFAULT},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin("arguments: wrong", "\xff\0\0\0\x19", 5);
        CHECK(create_and_send_message(ADDRESS, 42, wrong[i].list, wrong[i].count, wrong[i].operation, wrong[i].format,
                                      wrong[i].result) == -1);
        CHECK(errno == wrong[i].error && strcmp(order, "scX") == 0);
    }
}

static void client_reads(void) {
    const struct { char format; const char *octets; ssize_t length; int status, value, error; } replies[] = {
        // Only the first bit of the first octet counts.
        {'d', "\x80\0\0\0\x0a", 5, 0, 10, 0},
        {'d', "\xb4\0\0\0\x0a", 5, 0, 10, 0},
        {'s', "\x8f" "10", 3, 0, 10, 0},
        {'s', "\xff" "9", 2, 0, 9, 0},
        // Without a NUL at the end, with one, and with leading zeros.
        {'s', "\xff" "945\0", 5, 0, 945, 0},
        {'s', "\xff" "000000000000000000000000000007", 31, 0, 7, 0},
        // All 32 bits are kept, both as integer and as string.
        {'d', "\xff\x7f\xff\xff\xff", 5, 0, INT_MAX, 0},
        {'d', "\xff\x80\0\0\0", 5, 0, INT_MIN, 0},
        {'d', "\xff\xff\xff\xff\xff", 5, 0, -1, 0},
        {'s', "\xff" "2147483647", 11, 0, INT_MAX, 0},
        {'s', "\xff" "2147483648", 11, 0, INT_MIN, 0},
        {'s', "\xff" "4294967295", 11, 0, -1, 0},
        {'s', "\xff" "-2", 3, 0, -2, 0},
        {'s', "\xff" "-2147483648", 12, 0, INT_MIN, 0},
        // Larger results have no right answer.
        {'s', "\xff" "4294967296", 11, -1, 0, EOVERFLOW},
        {'s', "\xff" "-2147483649", 12, -1, 0, EOVERFLOW},
        {'s', "\xff" "99999999999999999999999999", 27, -1, 0, EOVERFLOW},
        // Errors of the server, with any payload.
        {'d', "\x7f", 1, -1, 0, EOPNOTSUPP},
        {'d', "\0\0\0\0\x19", 5, -1, 0, EOPNOTSUPP},
        {'s', "\x7funknown opcode", 15, -1, 0, EOPNOTSUPP},
        // Not replies to this request.
        {'d', "", 0, -1, 0, EBADMSG},
        {'d', "\xff", 1, -1, 0, EBADMSG},
        {'d', "\xff\0\0\0", 4, -1, 0, EBADMSG},
        {'d', "\xff\0\0\0\0\0", 6, -1, 0, EBADMSG},
        {'s', "\xff", 1, -1, 0, EBADMSG},
        {'s', "\xff\0", 2, -1, 0, EBADMSG},
        {'s', "\xff-", 2, -1, 0, EBADMSG},
        {'s', "\xff" "12a", 4, -1, 0, EBADMSG},
        {'s', "\xff 12", 4, -1, 0, EBADMSG},
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "client_reads, reply %zu", i);
        begin(name, replies[i].octets, replies[i].length);
        CHECK(ask(ints, 5, '+', replies[i].format) == replies[i].status);
        CHECK(result == (replies[i].status == 0 ? replies[i].value : -77));
        CHECK(replies[i].status == 0 || errno == replies[i].error);
        CHECK(strcmp(order, "scSRX") == 0);
    }
    begin("client_reads: 257 digits", NULL, 0);
    memset(incoming, '0', sizeof incoming);
    incoming[0] = 0xff;
    incoming_length = 258;
    CHECK(ask(ints, 5, '+', 's') == -1 && errno == EBADMSG);
    incoming_length = 257;
    CHECK(ask(ints, 5, '+', 's') == 0 && result == 0);
}

static void server_calls(void) {
    begin("server_calls", "\x50\0\0\0\4\0\0\0\2\0\0\0\3", 13);
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
    CHECK(strcmp(order, "sbFTX") == 0);
    CHECK(socket_call.domain == AF_INET6 && socket_call.type == SOCK_DGRAM && socket_call.protocol == 0);
    CHECK(bind_call.fd == DESCRIPTOR && bind_call.address == ADDRESS && bind_call.length == ADDRESS_LENGTH);
    CHECK(recvfrom_call.fd == DESCRIPTOR && recvfrom_call.flags == 0 && recvfrom_call.length >= 257);
    CHECK(recvfrom_call.room == sizeof(struct sockaddr_storage));
    CHECK(sendto_call.fd == DESCRIPTOR && sendto_call.flags == 0);
    CHECK(closed == DESCRIPTOR);

    // The sender's raw address is passed back unchanged, for any family and length.
    const socklen_t lengths[] = {28, 1, 0, 16, 128};
    for (int i = 0; i < 5; i++) {
        begin("server_calls: sender", "\0\0\0\0\1", 5);
        sender_length = lengths[i];
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
        CHECK(sendto_call.address_length == lengths[i]);
        CHECK(memcmp(sendto_call.address, sender, lengths[i]) == 0);
    }
}

static void server_stops_at_the_first_failure(void) {
    begin("server: socket fails", "\0\0\0\0\1", 5);
    returns.socket = -1, failing_errno = EMFILE;
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == -1);
    CHECK(errno == EMFILE && strcmp(order, "s") == 0);

    begin("server: bind fails", "\0\0\0\0\1", 5);
    returns.bind = -1, failing_errno = EADDRINUSE;
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == -1);
    CHECK(errno == EADDRINUSE && strcmp(order, "sbX") == 0);

    begin("server: recvfrom fails", NULL, -1);
    failing_errno = EINTR;
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == -1);
    CHECK(errno == EINTR && strcmp(order, "sbFX") == 0);

    begin("server: sendto fails", "\0\0\0\0\1", 5);
    returns.sendto = -1, failing_errno = EPERM;
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == -1);
    CHECK(errno == EPERM && strcmp(order, "sbFTX") == 0);
}

static void server_answers(void) {
    const struct { const char *request; size_t length; const char *reply; size_t reply_length; } exchanges[] = {
        {"\x50\0\0\0\4\0\0\0\2\0\0\0\3", 13, "\xff\0\0\0\x09", 5},
        {"\x71\0\0\0\4\0\0\0\2\0\0\0\3", 13, "\xff" "9", 2},
        {"\x52\0\0\0\4\0\0\0\2\0\0\0\3", 13, "\xff\0\0\0\x18", 5},
        {"\x83\0\0\0\4\0\0\0\2\0\0\0\3", 13, "\xff" "24", 3},
        {"\x03\0\0\0\1\0\0\0\3\0\0\0\5\0\0\0\7\0\0\0\x09", 21, "\xff" "945", 4},
        {"\1\xff\xff\xff\xff\0\0\0\1", 9, "\xff" "4294967296", 11},
        {"\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 21,
         "\xff" "1461501635629491084391274140357585917716910309375", 50},
    };
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
        begin("server_answers", exchanges[i].request, exchanges[i].length);
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
        CHECK(sendto_call.length == exchanges[i].reply_length);
        CHECK(memcmp(sendto_call.octets, exchanges[i].reply, exchanges[i].reply_length) == 0);
    }
    // Errors: unknown opcodes, the escape and extended requests too; a result that has no room.
    const struct { const char *request; size_t length; } refused[] = {
        {"\x45\0\0\0\4\0\0\0\2\0\0\0\3", 13},
        {"\x0c\0\0\0\4", 5},
        {"\x0e\0\0\0\4", 5},
        {"\x1e\x2b\4\0\1\2\3\4\5\6\7\x08\xff\xff\xff\xfe\0\0\0\5", 20},
        {"\0\xff\xff\xff\xff\0\0\0\1", 9},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        begin("server_answers: error", refused[i].request, refused[i].length);
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
        CHECK(sendto_call.length >= 1 && sendto_call.octets[0] == 0x7f);
        CHECK(sendto_call.length <= 3 * refused[i].length);
    }
    begin("server_answers: 27 large factors", NULL, 0);
    memset(incoming, 0xff, sizeof incoming);
    incoming[0] = 0x03;
    incoming_length = 1 + 26 * 4;
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
    CHECK(sendto_call.octets[0] == 0xff && sendto_call.length == 252);
    incoming_length = 1 + 27 * 4;
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
    CHECK(sendto_call.octets[0] == 0x7f);
}

// No call has failed, so these return 0, but nothing is sent: to a reply, least of all.
static void server_is_silent(void) {
    const struct { const char *request; ssize_t length; } silent[] = {
        {"", 0},           {"\0", 1},          {"\0\0\0\0", 4},           {"\0\0\0\0\1\0", 6},
        {"\xff\0\0\0\1", 5}, {"\x7f\0\0\0\1", 5},
    };
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        begin("server_is_silent", silent[i].request, silent[i].length);
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
        CHECK(strcmp(order, "sbFX") == 0);
    }
    const ssize_t too_long[] = {261, 1025, 2045};
    for (int i = 0; i < 3; i++) {
        begin("server_is_silent: too long", NULL, 0);
        memset(incoming, 0, sizeof incoming);
        incoming_length = too_long[i];
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
        CHECK(strcmp(order, "sbFX") == 0);
    }
}

int main(void) {
    client_calls();
    client_sends();
    client_stops_at_the_first_failure();
    only_minus_one_is_a_failure();
    a_failing_close_is_ignored();
    arguments_are_looked_at_after_socket();
    client_reads();
    server_calls();
    server_stops_at_the_first_failure();
    server_answers();
    server_is_silent();
    return failures ? 1 : 0;
}
