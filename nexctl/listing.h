/* Lists that nexd answers as JSON (pings, flows, statistics of rules), as tables or documents. */
#ifndef NEXD_NEXCTL_LISTING_H
#define NEXD_NEXCTL_LISTING_H

#include "nexctl/peers.h"

enum listing_kind {
    LISTING_CONNECTIVITY,
    LISTING_FLOWS,
    LISTING_FLOWS_TCP, /* of the flows, those of TCP: how it goes towards the peer */
    LISTING_RULE_STATS,
};

struct listing_style {
    enum output_form form;
    bool colour;     /* of the mark that says whether a peer is reachable */
    uint64_t unix_s; /* now, for the age of errors in tables; 0 = it is not shown */
};

/* Prints the result of ConnectivityV4/V6, ListFlows or ListRuleStats. Sets *truncated where nexd says that
 * there is more. NX_EPROTO: it is not what it should be (nothing is printed); NX_ENOMEM. */
int listing_print(FILE *out, enum listing_kind kind, const char *json, const struct listing_style *style,
                  bool *truncated);

#endif
