/* Strings as the Nexodus client's YAML has them. */
#ifndef NEXD_NEXCTL_YAML_H
#define NEXD_NEXCTL_YAML_H

#include <stdio.h>

/* Plain where that reads back as the same string; in double quotes where it would be taken for something else
 * (a number, true, null) or holds control characters; in single quotes for the rest. */
void yaml_string_print(FILE *out, const char *text);

#endif
