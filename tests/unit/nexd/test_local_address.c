/* Which interface leads out, by routing tables as the kernel writes them. */
#include "common/err.h"
#include "nexd/local_address.h"
#include "tests/unit/common/unit.h"

#include <string.h>

#define HEAD "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define ROUTE(name, to, gateway, flags, mask)                                                                \
    name "\t" to "\t" gateway "\t" flags "\t0\t0\t0\t" mask "\t0\t0\t0 \n"

static const struct {
    const char *table, *name; /* NULL = none */
} tables[] = {
    {"", NULL},
    {"\n", NULL},
    {HEAD, NULL},
    {HEAD ROUTE("eth0", "0000A8C0", "00000000", "0001", "00FFFFFF"), NULL},
    {HEAD ROUTE("eth0", "00000000", "0100A8C0", "0003", "00000000"), "eth0"},
    {HEAD ROUTE("lo", "0000007F", "00000000", "0001", "000000FF")
         ROUTE("wlan0", "00000000", "0100A8C0", "0003", "00000000")
             ROUTE("eth1", "00000000", "0200A8C0", "0003", "00000000"),
     "wlan0"},
    /* One with a gateway is better than one without; without any, that one. */
    {HEAD ROUTE("ppp0", "00000000", "00000000", "0001", "00000000")
         ROUTE("eth0", "00000000", "0100A8C0", "0003", "00000000"),
     "eth0"},
    {HEAD ROUTE("ppp0", "00000000", "00000000", "0001", "00000000"), "ppp0"},
    /* Not up; rejecting; half of the internet; nonsense. */
    {HEAD ROUTE("eth0", "00000000", "0100A8C0", "0002", "00000000"), NULL},
    {HEAD ROUTE("eth0", "00000000", "0100A8C0", "0203", "00000000"), NULL},
    {HEAD ROUTE("eth0", "00000000", "0100A8C0", "0003", "00000080"), NULL},
    {HEAD "eth0\tx\ty\n", NULL},
    {HEAD "anamethatisfartoolongforaninterface\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\n", NULL},
};

START_TEST(the_way_out)
{
    char name[LOCAL_ADDRESS_INTERFACE_MAX];
    const int err = local_address_interface(tables[_i].table, name);
    ck_assert_int_eq(err, tables[_i].name ? NX_OK : NX_ENOENT);
    ck_assert_str_eq(name, tables[_i].name ? tables[_i].name : "");
}
END_TEST

START_TEST(this_host_has_an_address_or_none)
{
    struct netaddr address;
    const int err = local_address_find(&address);
    ck_assert((err == NX_OK) == (address.family == NETADDR_V4));
    ck_assert(err == NX_OK || address.family == NETADDR_NONE);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_loop_test(tcase, the_way_out, 0, sizeof tables / sizeof *tables);
    tcase_add_test(tcase, this_host_has_an_address_or_none);
}

int main(void)
{
    return unit_run("local_address", fill);
}
