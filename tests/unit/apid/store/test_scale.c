/* A thousand devices in one VPC: what the server does all the time takes milliseconds. */
#include "world.h"

#include "common/clock.h"

#include <string.h>

static struct store_user user;

static void setup(void)
{
    world_make();
    user = world_user("alice");
}

static int count_one(void *arg, const struct store_device *found)
{
    (void)found;
    ++*(unsigned *)arg;
    return NX_OK;
}

static unsigned count(const struct store_filter *filter)
{
    unsigned found = 0;
    ck_assert_int_eq(store_devices_list(world, filter, count_one, &found), NX_OK);
    return found;
}

/* Milliseconds by the fastest of some tries, as the machine has more to do. */
static double fastest_ms(void (*act)(void))
{
    double best = 1e9;
    for (int i = 0; i < 10; i++) {
        const uint64_t begin = clock_now_ns();
        act();
        const double ms = (double)(clock_now_ns() - begin) / 1e6;
        best = ms < best ? ms : best;
    }
    return best;
}

static char nth[STORE_ID_MAX], token[STORE_TOKEN_MAX];

static void list_all(void)
{
    struct store_filter filter = {.with_deleted = true};
    strcpy(filter.vpc_id, user.id);
    ck_assert_uint_eq(count(&filter), 1000);
}

static void list_news(void)
{
    struct store_filter filter = {.with_deleted = true, .after_revision = store_revision(world) - 1};
    strcpy(filter.vpc_id, user.id);
    ck_assert_uint_eq(count(&filter), 1);
}

static void identify(void)
{
    struct store_device found;
    ck_assert_int_eq(store_device_by_token(world, token, &found), NX_OK);
    ck_assert_int_eq(store_device_get(world, nth, &found), NX_OK);
}

static void join_and_leave(void)
{
    struct store_device made = world_device(user.id, user.id);
    strcpy(made.hostname, "news");
    ck_assert_int_eq(store_device_update(world, STORE_DEVICE_HOSTNAME, &made, &world_error), NX_OK);
    ck_assert_int_eq(store_device_delete(world, made.id, NULL), NX_OK);
    ck_assert_int_eq(store_collect(world, wall_s() + 2 * STORE_TOMBSTONE_S), NX_OK);
}

#ifdef NEXD_SANITIZE
enum { SLOWNESS = 8 };
#else
enum { SLOWNESS = 1 };
#endif

START_TEST(test_a_thousand)
{
    ck_assert_int_eq(store_begin(world), NX_OK); /* one flush to the disk for all */
    for (int i = 0; i < 1000; i++) {
        struct store_device made = world_device(user.id, user.id);
        if (i == 700)
            strcpy(nth, made.id);
    }
    ck_assert_int_eq(store_end(world, NX_OK), NX_OK);
    ck_assert_int_eq(store_device_token(world, nth, token), NX_OK);
    ck_assert_double_lt(fastest_ms(list_all), 50 * SLOWNESS);
    ck_assert_double_lt(fastest_ms(list_news), 1 * SLOWNESS);
    ck_assert_double_lt(fastest_ms(identify), 1 * SLOWNESS);
    ck_assert_double_lt(fastest_ms(join_and_leave), 50 * SLOWNESS);
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_a_thousand);
}

int main(void)
{
    return world_run("apid_store_scale", add, setup);
}
