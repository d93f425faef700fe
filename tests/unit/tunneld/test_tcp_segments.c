/* How large segments are, whatever the far end says of it and when. */
#include "lab_far.h"
#include "tests/unit/common/unit.h"
#include <sys/socket.h>
#include <unistd.h>

enum { BYTES = 600 };

static void client_sends(int client)
{
    static const uint8_t data[BYTES];
    ck_assert(lab_write_all(client, data, sizeof data));
    lab_turns(20);
}

START_TEST(a_maximum_outside_the_handshake_changes_nothing)
{
    lab_start(100, 1 << 20);
    lab_far_end.window = 10000;
    int client = lab_far_connected();
    client_sends(client);
    const size_t longest = lab_far_end.longest;
    ck_assert_uint_gt(longest, 64);
    lab_far_says_mss(64);
    lab_far_end.longest = 0;
    client_sends(client);
    ck_assert_uint_eq(lab_far_end.longest, longest);
    ck_assert_uint_eq(lab_far_end.resets, 0);
    close(client);
}
END_TEST

START_TEST(windows_that_are_zero_first_and_tiny_then)
{
    lab_start(100, 1 << 20);
    lab_far_end.window = 0;
    int client = lab_far_connected();
    uint32_t before = lab_far_end.ack;
    client_sends(client); /* as one segment: nothing is known of the far end's windows */
    lab_far_end.window = (uint16_t)(2 + _i);
    lab_far_end.ack = before;
    lab_far_says(FAR_ACK, lab_far_end.seq, 0);
    client_sends(client); /* half of the largest window is less than that segment has */
    for (unsigned i = 0; i < 2 * BYTES && lab_far_end.ack != before + 2 * BYTES; i++) {
        lab_far_says(FAR_ACK, lab_far_end.seq, 0);
        lab_advance_ms(200);
        ck_assert_uint_le(lab_far_end.longest, 2u + (unsigned)_i);
    }
    ck_assert_uint_eq(lab_far_end.ack, before + 2 * BYTES); /* all of it came, in the window's pieces */
    ck_assert_uint_eq(lab_far_end.resets, 0);
    close(client);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, a_maximum_outside_the_handshake_changes_nothing);
    tcase_add_loop_test(tcase, windows_that_are_zero_first_and_tiny_then, 0, 3);
}

int main(void)
{
    return unit_run("tcp_segments", fill);
}
