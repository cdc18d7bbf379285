#include "harden/op.h"

const struct op_kind *const op_kinds[] = {
    &op_absent,      &op_accounts,    &op_ageing,
    &op_aide,        &op_apparmor,    &op_audit_privileged,
    &op_audit_rules, &op_banner,      &op_capabilities,
    &op_enabled,     &op_file,        &op_firewall,
    &op_ipsec,       &op_kernel_args, &op_keyvalue,
    &op_line,        &op_logrotate,   &op_mode,
    &op_modules,     &op_mounts,      &op_owned,
    &op_packages,    &op_pam,         &op_pam_modules,
    &op_secrets,     &op_sticky,      &op_suid,
    &op_time,        &op_unit_runs,   &op_units,
    &op_writable,    &op_gate,        NULL,
};
