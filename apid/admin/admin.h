/* Administration of a control plane on the command line: "apid --data DIR user add NAME …". It works on the
 * database itself, so it needs neither a login nor a running server; a server that runs sees what was
 * committed within a tenth of a second (store_changed_elsewhere()). */
#ifndef NEXD_APID_ADMIN_H
#define NEXD_APID_ADMIN_H

/* The whole of such a program; sodium_init() was called. Results go to standard output, and errors, one line
 * each, to standard error. Returns the exit status: 0; 1 what was wanted cannot be done; 2 a mistake in the
 * command line or in a file that it names. */
int apid_admin_main(int argc, char **argv);

#endif
