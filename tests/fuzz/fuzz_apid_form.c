/* Form bodies and query strings: every field is a C string without surprises. */
#include "apid/oidc/form.h"
#include "common/err.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct form form;
    if (form_parse((const char *)bytes, length, &form) != NX_OK) {
        fuzz_require(form.text == NULL && form.count == 0);
        return 0;
    }
    size_t total = 0;
    for (size_t i = 0; i < form.count; i++) {
        const char *const value = form_get(&form, form.fields[i].name);
        fuzz_require(value == NULL || value == form.fields[i].value);
        total += strlen(form.fields[i].name) + strlen(form.fields[i].value);
    }
    fuzz_require(total <= length);
    form_free(&form);
    return 0;
}
