/* JSON that nexd answered, printed again: indented, on one line, or as YAML. */
#ifndef NEXD_NEXCTL_DOCUMENT_H
#define NEXD_NEXCTL_DOCUMENT_H

#include "nexctl/peers.h"

#include <yajl/yajl_tree.h>

/* `form`: OUTPUT_JSON (indented by two blanks), OUTPUT_JSON_RAW or OUTPUT_YAML (members sorted, as the
 * Nexodus client prints them), ended by a newline. Control characters in strings are escaped. */
void document_print(FILE *out, yajl_val value, enum output_form form);

#endif
