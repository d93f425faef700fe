/* Of "URL#KEY" the first '#' parts the two: a URL has none before its fragment, and a key that holds one as
 * it stands has it written as %23. */
#include "ctld/nexodus/reg_key.h"

#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int refuse(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, REG_KEY_ERROR_MAX, format, args);
    va_end(args);
    return NX_EINVAL;
}

static bool given(const char *text)
{
    return text && text[0] != '\0';
}

/* Can it stand in a header, after "Bearer "? */
static bool key_valid(const char *key)
{
    for (; *key; key++)
        if (*key <= 0x20 || *key > 0x7e)
            return false;
    return true;
}

static int key_read(const char *text, size_t length, bool escaped, struct reg_key_service *out, char *error)
{
    if (length == 0)
        return refuse(error, "invalid '--reg-key' flag provided. error: there is no key behind the '#'");
    if (length > REG_KEY_MAX)
        return refuse(error, "invalid '--reg-key' flag provided. error: longer than %d characters",
                      REG_KEY_MAX);
    memcpy(out->key, text, length);
    if (escaped && url_percent_decode(out->key, &length) != NX_OK)
        return refuse(error, "invalid '--reg-key' flag provided. error: invalid URL escape behind the '#'");
    explicit_bzero(out->key + length, sizeof out->key - length);
    if (!key_valid(out->key))
        return refuse(
            error, "invalid '--reg-key' flag provided. error: a blank or another character that no key has");
    return NX_OK;
}

static int service_read(const char *flag, const char *text, size_t length, struct reg_key_service *out,
                        char *error)
{
    char why[URL_ERROR_MAX], shown[192], authority[URL_AUTHORITY_MAX];
    text_quote_bytes(text, length, shown, sizeof shown);
    shown[strlen(shown) - 1] = '\0'; /* our own quotes stand around it */
    if (url_parse(text, length, &out->service, why) != NX_OK)
        return refuse(error, "invalid '%s=%s' flag provided. error: %s", flag, shown + 1, why);
    const int written = snprintf(out->api_host, sizeof out->api_host, "api.%s", out->service.host);
    if (written >= (int)sizeof out->api_host || !hostname_valid(out->api_host))
        return refuse(
            error,
            "invalid '%s=%s' flag provided. error: the API is at \"api.\" and this host, which must "
            "be a name",
            flag, shown + 1);
    snprintf(out->api_base, sizeof out->api_base, "https://api.%s", url_authority(&out->service, authority));
    return NX_OK;
}

static int options_check(const struct reg_key_options *options, char *error)
{
    if (given(options->service_url) && options->positional)
        return refuse(error, "please remove the service URL positional argument, it was configured via the "
                             "--service-url flag");
    if (given(options->reg_key) && given(options->security_group_id))
        return refuse(error, "the --reg-key and --security-group-id flags are mutually exclusive");
    if (given(options->reg_key) && given(options->vpc_id))
        return refuse(error, "the --reg-key and --vpc-id flags are mutually exclusive");
    return NX_OK;
}

static int resolve(const struct reg_key_options *options, struct reg_key_service *out, char *error)
{
    const char *const service = given(options->service_url) ? options->service_url : options->positional;
    const char *const hash = given(options->reg_key) ? strchr(options->reg_key, '#') : NULL;
    int err = options_check(options, error);
    if (err)
        return err;
    if (hash) {
        if (given(service))
            return refuse(error, "the --reg-key and --service-url flags are mutually exclusive");
        err = key_read(hash + 1, strlen(hash + 1), true, out, error);
        return err ? err
                   : service_read("--reg-key", options->reg_key, (size_t)(hash - options->reg_key), out,
                                  error);
    }
    if (given(options->reg_key)) {
        err = key_read(options->reg_key, strlen(options->reg_key), false, out, error);
        if (err)
            return err;
    }
    out->service_defaulted = !given(service);
    const char *const text = given(service) ? service : REG_KEY_SERVICE_DEFAULT;
    return service_read("--service-url", text, strlen(text), out, error);
}

int reg_key_resolve(const struct reg_key_options *options, struct reg_key_service *out, char *error)
{
    memset(out, 0, sizeof *out);
    const int err = resolve(options, out, error);
    if (err)
        reg_key_clear(out);
    return err;
}

void reg_key_clear(struct reg_key_service *service)
{
    explicit_bzero(service, sizeof *service);
}
