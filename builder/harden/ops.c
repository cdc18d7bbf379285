#include "harden/op.h"

const struct op_kind *const op_kinds[] = {
    &op_absent,       &op_accounts, &op_ageing,        &op_banner,    &op_capabilities,
    &op_certificates, &op_file,     &op_firewall,      &op_keyvalue,  &op_line,
    &op_link,         &op_links,    &op_lock,          &op_logrotate, &op_mode,
    &op_oci,          &op_owned,    &op_package_files, &op_packages,  &op_pam,
    &op_pam_modules,  &op_release,  &op_scan,          &op_secrets,   &op_special_files,
    &op_sticky,       &op_suid,     &op_tls,           &op_units,     &op_waivers,
    &op_writable,     NULL,
};
