/* Names in alphabetical order, as upstream's client sends them. Blanks become '+'; letters, digits and "-_.~"
 * stay. */
#include "ctld/nexodus/oidc_form.h"

#include "common/err.h"
#include "common/text.h"
#include "ctld/nexodus/base64.h"
#include "ctld/nexodus/oidc.h"

#include <stdbool.h>
#include <string.h>

struct form {
    char *out;
    size_t size, length;
    bool full;
};

static void put(struct form *form, char c)
{
    if (form->length + 1 >= form->size)
        form->full = true;
    else
        form->out[form->length++] = c;
}

static void put_escaped(struct form *form, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (text_is_alpha(*text) || text_is_digit(*text) || strchr("-_.~", c)) {
            put(form, *text);
        } else if (c == ' ') {
            put(form, '+');
        } else {
            put(form, '%');
            put(form, hex[c >> 4]);
            put(form, hex[c & 15]);
        }
    }
}

static void put_field(struct form *form, const char *name, const char *value)
{
    if (form->length > 0)
        put(form, '&');
    put_escaped(form, name);
    put(form, '=');
    put_escaped(form, value);
}

static struct form form_begin(char *out, size_t size)
{
    return (struct form){.out = out, .size = size, .full = size == 0};
}

static int form_end(struct form *form)
{
    if (form->full) {
        explicit_bzero(form->out, form->size);
        return NX_ERANGE;
    }
    form->out[form->length] = '\0';
    return NX_OK;
}

int oidc_form_password(enum oidc_client_auth auth, const char *client_id, const char *username,
                       const char *password, char *out, size_t out_size)
{
    struct form form = form_begin(out, out_size);
    if (auth == OIDC_CLIENT_IN_FORM)
        put_field(&form, "client_id", client_id);
    put_field(&form, "grant_type", "password");
    put_field(&form, "password", password);
    put_field(&form, "scope", OIDC_SCOPES);
    put_field(&form, "username", username);
    return form_end(&form);
}

int oidc_form_refresh(enum oidc_client_auth auth, const char *client_id, const char *refresh_token, char *out,
                      size_t out_size)
{
    struct form form = form_begin(out, out_size);
    if (auth == OIDC_CLIENT_IN_FORM)
        put_field(&form, "client_id", client_id);
    put_field(&form, "grant_type", "refresh_token");
    put_field(&form, "refresh_token", refresh_token);
    return form_end(&form);
}

int oidc_form_device_authorization(const char *client_id, char *out, size_t out_size)
{
    struct form form = form_begin(out, out_size);
    put_field(&form, "client_id", client_id);
    put_field(&form, "scope", OIDC_SCOPES);
    return form_end(&form);
}

int oidc_form_device_token(const char *client_id, const char *device_code, char *out, size_t out_size)
{
    struct form form = form_begin(out, out_size);
    put_field(&form, "client_id", client_id);
    put_field(&form, "device_code", device_code);
    put_field(&form, "grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    return form_end(&form);
}

int oidc_basic(const char *client_id, char *out)
{
    char pair[3 * OIDC_CLIENT_ID_MAX + 2];
    struct form form = form_begin(pair, sizeof pair);
    put_escaped(&form, client_id);
    put(&form, ':');
    out[0] = '\0';
    if (form_end(&form) != NX_OK)
        return NX_ERANGE;
    memcpy(out, "Basic ", 6);
    base64_encode(BASE64_STANDARD, (const uint8_t *)pair, form.length, out + 6);
    return NX_OK;
}
