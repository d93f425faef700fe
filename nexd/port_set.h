/* A set of ports, a bit each. Only the parent process. */
#ifndef NEXD_NEXD_PORT_SET_H
#define NEXD_NEXD_PORT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port_set {
    uint8_t bits[(UINT16_MAX + 1) / 8];
    size_t count;
};

static inline bool port_set_has(const struct port_set *set, uint16_t port)
{
    return (set->bits[port / 8] >> port % 8 & 1) != 0;
}

static inline void port_set_add(struct port_set *set, uint16_t port)
{
    set->count += !port_set_has(set, port);
    set->bits[port / 8] = (uint8_t)(set->bits[port / 8] | 1u << port % 8);
}

#endif
