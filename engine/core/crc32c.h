/* CRC-32C (Castagnoli), reflected, as in RFC 3720, section 12.1. */
#ifndef WZ_CORE_CRC32C_H
#define WZ_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t wz_crc32c(const void *bytes, size_t length);

#endif
