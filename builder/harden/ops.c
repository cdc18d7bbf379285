#include "harden/op.h"

const struct op_kind *const op_kinds[] = {
    &op_absent,  &op_accounts, &op_ageing,   &op_banner, &op_capabilities,
    &op_file,    &op_firewall, &op_keyvalue, &op_line,   &op_logrotate,
    &op_mode,    &op_owned,    &op_packages, &op_pam,    &op_pam_modules,
    &op_secrets, &op_sticky,   &op_suid,     &op_units,  &op_writable,
    NULL,
};
