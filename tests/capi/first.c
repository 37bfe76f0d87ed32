// Checks every call that the function of one of the first three exercises makes: -DCALC6_EXERCISE=1, 2 or 3.
#include "wrap.h"

#include "calc6.h"

#if CALC6_EXERCISE == 1

static void sends_the_odd_digits(void) {
    static const uint8_t odd[20] = {0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9};
    begin("exercise 1", NULL, -1);
    CHECK(create_and_send_message(ADDRESS, ADDRESS_LENGTH) == 0);
    CHECK(strcmp(order, "scSX") == 0);
    CHECK(socket_call.domain == AF_INET6 && socket_call.type == SOCK_DGRAM && socket_call.protocol == 0);
    CHECK(connect_call.fd == DESCRIPTOR && connect_call.address == ADDRESS && connect_call.length == ADDRESS_LENGTH);
    CHECK(send_call.fd == DESCRIPTOR && send_call.flags == 0 && send_call.length == sizeof odd);
    CHECK(memcmp(send_call.octets, odd, sizeof odd) == 0);
    CHECK(closed == DESCRIPTOR);
}

static void stops_at_the_first_failure(void) {
    int *const failing[] = {&returns.socket, &returns.connect, &returns.send};
    const char *const orders[] = {"s", "scX", "scSX"};
    for (int i = 0; i < 3; i++) {
        begin("exercise 1: a call fails", NULL, -1);
        *failing[i] = -1;
        returns.close = -1;
        CHECK(create_and_send_message(ADDRESS, ADDRESS_LENGTH) == -1);
        CHECK(errno == EHOSTUNREACH && strcmp(order, orders[i]) == 0);
    }
}

int main(void) {
    sends_the_odd_digits();
    stops_at_the_first_failure();
    return failures ? 1 : 0;
}

#else

static void replies_with_the_sum(void) {
    const struct { const char *request; size_t length; const char *integer; const char *text; } sums[] = {
        {"\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 20, "\0\0\0\x0f", "15"},
        {"\0\0\0\0", 4, "\0\0\0\0", "0"},
        {"\x7f\xff\xff\xff", 4, "\x7f\xff\xff\xff", "2147483647"},
        // Modulo 2^32, and %d takes it for an int.
        {"\xff\xff\xff\xff\xff\xff\xff\xff", 8, "\xff\xff\xff\xfe", "-2"},
    };
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        begin("exercises 2 and 3", sums[i].request, sums[i].length);
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
        CHECK(strcmp(order, "sbFTX") == 0);
        CHECK(socket_call.domain == AF_INET6 && socket_call.type == SOCK_DGRAM && socket_call.protocol == 0);
        CHECK(bind_call.fd == DESCRIPTOR && bind_call.address == ADDRESS && bind_call.length == ADDRESS_LENGTH);
        CHECK(recvfrom_call.fd == DESCRIPTOR && recvfrom_call.flags == 0 && recvfrom_call.length >= 1024);
        CHECK(recvfrom_call.room == sizeof(struct sockaddr_storage));
        CHECK(sendto_call.fd == DESCRIPTOR && sendto_call.flags == 0);
        CHECK(sendto_call.address_length == 28 && memcmp(sendto_call.address, sender, 28) == 0);
        const char *expected = CALC6_EXERCISE == 2 ? sums[i].integer : sums[i].text;
        size_t length = CALC6_EXERCISE == 2 ? 4 : strlen(sums[i].text);
        CHECK(sendto_call.length == length && memcmp(sendto_call.octets, expected, length) == 0);
        CHECK(closed == DESCRIPTOR);
    }
    begin("exercises 2 and 3: 256 integers", NULL, 0);
    memset(incoming, 0, sizeof incoming);
    incoming[3] = 9;
    incoming_length = 1024;
    CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
    CHECK(strcmp(order, "sbFTX") == 0);
}

static void stops_at_the_first_failure(void) {
    int *const failing[] = {&returns.socket, &returns.bind, NULL, &returns.sendto};
    const char *const orders[] = {"s", "sbX", "sbFX", "sbFTX"};
    for (int i = 0; i < 4; i++) {
        begin("exercises 2 and 3: a call fails", "\0\0\0\1", failing[i] ? 4 : -1);
        if (failing[i]) *failing[i] = -1;
        returns.close = -1;
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == -1);
        CHECK(errno == EHOSTUNREACH && strcmp(order, orders[i]) == 0);
    }
}

static void does_not_answer_what_is_not_a_list(void) {
    const ssize_t lengths[] = {0, 1, 3, 5, 1023, 1028, 2000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        begin("exercises 2 and 3: not a list", NULL, 0);
        incoming_length = lengths[i];
        CHECK(recv_and_handle_message(ADDRESS, ADDRESS_LENGTH) == 0);
        CHECK(strcmp(order, "sbFX") == 0);
    }
}

int main(void) {
    replies_with_the_sum();
    stops_at_the_first_failure();
    does_not_answer_what_is_not_a_list();
    return failures ? 1 : 0;
}

#endif
