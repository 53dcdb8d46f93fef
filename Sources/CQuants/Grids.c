// The combinations of values that exist in the types with a grid: a choice that ggml has made, by clustering, once.
//
// A combination is a number whose digits, the lowest first, are the elements: eight to base 3, or four to base 8. The
// numbers of a grid ascend, so that what is kept is the step from each to the next, less one, as a digit of base 64;
// `/` stands for a step of 63 to which the next is added. Source: the grids of ggml's `ggml-common.h`.

#include "CQuants.h"
#include "Blocks.h"
#include "Grids.h"
#include <pthread.h>
#include <stdlib.h>

static const char iq1_steps[] =
    "ABBBBBCEBDBEFBBHEBDBEEBDBDAFBBBAEFDBDBDBBBAGFBBHEBDBEEBDBEFFEDBBDBBCCBBDBKBBHFFFDDAOFFFBAAHBBHBDDAAB"
    "AABBBBBBBICBBBBAABNDLBFBBBCADBFFBDKBDBEEBDBEFDHEBDBEEBDBEFBDEAFHACFBDLBBBFEBDBEEBDBEFFCCEBBBBEEBDBJA"
    "BDEAFBFDBDBACLBBECFBBBBBBBDBDFDAAAAAABBDHHBFBPBBHEEBDBBBDBHFBBHFDBEABACDECAABBBAABDBBFDBCABAABBACDBD"
    "BBAABBBBBBBBAAEAAAABABBAABBBAABBAABAABAABBFBAAHAABBDDBAABBBCAAACBABAAFCCBHDLDHFBBBBDBBAABBBFFBJNBBDB"
    "CGAABDBAABAADDHCABBDDBIGGBGBBBBBBDDBFFDCJBDBEEBBBBEFFCCEBDBEEBBBBEFBDFGADFBBBBAAHEEBFFEBBCEBDBEFDBFF"
    "EBBCEBDBEHBBFHAABDBBBFHFBDCCLFFFBDBDBACDBBJBCABBBBBBFEBEFFFFEAFEBDHJBDBEEBDBEFBJEBDBJBDBHCBDFJBDBFBB"
    "BFEEBEAEBDBJBDBEFDBFEBDBEEBDBEFDHLDBBBBBBPDCDDABBBDBAABBDBFBBBBAABAEBBBBBDBBEAAKFBBHFJBDDDIEJFLCIFBB"
    "BBAAEABBBBDBBBBEAFCABDBBAABBDDBBAABBABAAAACBAABDAABDBAABAEBBBCCEABBBBDBBBBCAABABDBBDCDDAFBBHFCDEGEBD"
    "BDBBBFFBBBFFCACACABDBBDDDBAAAABBBBACFBDBAADBBBPPBBFBBDDNJFBAABDBDBBDBDBDBAABFBHBFBCADBFBAABBAAAABDAA"
    "BBBAABBAAAAAAAABBAABDBFBAABBDDBDFBDBBHBDBBAABDBIEBBCADIAFBAAAACCBBBBAABAAABAAAAABAAAABBFBBBAABCBADBA"
    "AAABBAAAAABABBAABBAAAAAAABAAAAAAAAAABAAAAABBACAAABAAAACBAABBAAABAACBABABAAAAAAACCAAAAAAAAAAAAABBACDB"
    "AAAABCDCBAAAEAABBDBDGEBBBBAAAABBAAGEBBBBDFCABDBBAABFFBAABBAAAAAAAABBAABCCCCBAAAAFHCGDADABFBACCAAADBB"
    "BBGCBAABBLHBBFHFDAABBBBBCMHFBBBDBFACBFCCCABFACDECBFDBLDBKADHAACMFDHOABACBDBBBBBBBBAABAABBHACBBAAAABB"
    "BDFBBBCABNAABBABAABCBAABGBABCABACBAAEEFEEAABDBBBBAAABADBCBBDDBAABCBCOBFFJBDBFFFEHEBFDFBBBBACAADBAABB"
    "DDCAEEFBACLDAMBDBDBBDACGGCBFDBDBJBDBEEABBBFEBDBEEBDBEFBBBFFBDBBBAAAEBBFCEBBFEBDBEEBDBKBDFEBDBEEBDBMD"
    "LBGCDBBDNDLFDBDFBBACBDBAABAEAABBBBBBBBBHNDBFFBDAADCABDCEFGDFBDBEEBDBBCFBDFCBBDBEEBDBEAEBBHFBBBBBBDBB"
    "JJBFEBDBEEBDBEFBBMBDBEEBDBEFDAAFFDBFBBHAEFBBBFFBBBBDBBBBBBBDEABAABDBHBFBBDBBBFFBDFHBBBBBBHBFHBKCBBDD"
    "BHDHBBAAAABAABHBFAABDFBDBBAABAABCCCABBAABBAAAAAAAABBAABCCBDAAAABAABBBBBBFDCBEBFBACABABFBEADACAAHBBFJ"
    "BFFDDBBACDAIFDBFHBBBBBBBAABBDBBBBBBAABDBACBBFBBDBDHIIHBBBDBDLFBAAMBDBEEBDBEFBBBKBDBEEBDBECCBBBAOBCCB"
    "BBBJEBCBMDBAGDDBEFDBFEBDBEEBDBQFFBFCABBBCAAAFbBBBBBHBDBFBAABFDBBAABDBBPFDCBCHBCCBAACBLDDABCBBDBDBJBD"
    "BKBBBKBDBEEBDBEHDCCFHDDBDBKEMBDBJBDBKBBMBDBEEBDB";

static const char iq2_xxs_steps[] =
    "ABBBBBBFBDBBBFFDBFBFLHBFDNdLLBRjZBFJBFBDLJBFLFBDLNTBJXBRdRFDBFLDBFBVXX3J/GBFJHRLFDNFLRHJvJxFLDLTpfhN"
    "/EBFRbZD/EtrBFVPHBxHvB/QBFRNnbT/gXLv/+zBFFDBFFHDJBFRRbHDXHXHJdFLjPVJ7/SBFRDxpDJ3fRFDFBjFXZt/G/QBX/Kl"
    "pJFf77/OFRXdn3djD/WBt//H///YBFTbbLL/A/IBFDNRjfhVTRl/S/Y/KFLFtVn5xTJ/Y//1r//ThVd/K/g////Lv";

static const char iq2_xs_steps[] =
    "ABBBBBBBBBBBBDBBBBBBBDBFBBBDBDBJBBBBBBBBBBFBBBDBFFDBFRBBBDBFJBFDNHTBBBBBBBDBFBBBDBBDJBFRBBBDBFJBFJHb"
    "BFNDBbXBBBBBBFDFBFFLRHBBFRbFTRFrDJBBBBBBBDBFBBBDBFHBBFRBBBDBFJBFRLBNBBDRRjBBBDBFJBDBLFbBFR1LVvBFBPLT"
    "VDt/EpBBBBBBBFJBFRRJBFRFPfThXDBFPB1bJfLP7DFBJVTN5LXLlDBTBBBBBBBDBFBBBBBBFDFBFRBBBDBFJBFRDPHBFBNB1BBB"
    "DBDBJBFRLPBFLFrJHVFtBFRDHHhJTFPf/OBBBDBFFDBFRbBFDNBzdxBBFJHRJRHFvFnfVHLPHhbJB/uXBFRLHLTB/mNdPN/MRDr/"
    "Yzx/AhHhBBBDBFHBBFRBVBBBBDRJFlRjBPFDBFBBNRPTdtTlbFPVJBVH/ghFHJDBFRNPXTb/KTTDZFF/AlBr/anl7fjBDBJHttFh"
    "DBDTbRjn//RTTJBDvFF1BtBlP";

static const char iq2_s_steps[] =
    "ABBBBBBBBBBBBDBBBBBBBDBBBBBBBDBFDDBBBBBBBBDBFBBBDBBBBDBDBFBBFBFBBBDBFHBBBBBDNDDDHHBBBBBBBDBBBBBBBBBB"
    "BBBBBFBBBBDBDBFBBBBBBBBBDBDBBBBBBBDBFBBBDBFJBBBBDNDBDBFJBFRBBBDBBBBDDBBBBBBBBDBFDHNBBFBBBDHDBDBFJHRJ"
    "BHDBJhLBBBBBBBDBBDBBBDBBBBBBBDBBDDBDBFBBBBBBBBBBBBDBBBBBBBDBFBBBDBPBDBDFBFDFBPBFRBBBDBBBBDBDBBBBBBBD"
    "BFBBBDBFJBBBBBBBDBFBBBDBFJBFRDBDBFJBFRZBBBBBDBDHBBBDBFJBXBBBDBFJBFPVJFRNnBBBDBBBBDDBBFBBHFHDNBBFBBFH"
    "BBFBFJBFRHLDBDFXBPDBBBBDBDBFBBBDBFJBFRDBDBFJBFNDbBFRPlDFBPBFZRBBF5VLbLBTBBBBBBBBBBBDBBBBBBBBBBBFBFDB"
    "DBFBBBDBBBBBBFBBBBBBBDBFBBBDBFJBFBBBFFDBDBFJBXBBBBBBBBBBBBDBBBBBBBDBFBBBDBFJBBBBBBBDBFBBBDBFHBBFRBBB"
    "DBFJBFRVFBDBBBBDBFBBBDBFLFRBBBDBFJBFRNNBFR1BBBDBBBBBBBDBBBBBBBDBFBBBDBPBBBBBBBDBFBBBDBFJBFRDBDBFJBFP"
    "BbBBBBBBBDBFBBBDBFJBFRBBBDBFJBFRbBFND1BBBDBFJBFHJbBFR1PpTDBBDBBBDBFDBDBFLFRBBBDBFJBFRPNFRNfHDBDBFJBF"
    "RbBFRHPNP/CPBFnTLZ/UrHBBBDBDBDFBFBBBDHDFBPBDBBBBDBFBBBDBPBFPBDDBBPBFtBBBBBBBDHBBBDBFJBFRBBBDBFJBFRHT"
    "BFPB1DFBPBFlHBXVzVBLRHBDBBBBFFBBBDBFJBFRDFBPBFHlBFRxDBBBDBFJBFRNNBFRpDHfPhBFNDzBhD/qRDDDHFBBFlFbVhFL"
    "DBdDBPDBFRhNFP/mzPxtTbBJBDjT";

static const char iq3_xxs_steps[] =
    "ABBEBDABGIYBDBEBGDCBGKLHBBEGBGBDJFNDFABKiSTEKLBDFSPyWTDBUNPBEBGBEBBKAXBGGBuBEBGGhFBNIMPKDinDRSL/NNfB"
    "GBEBDCIeBBCBGGaDAHBGFABMAMTGDrDgNXTJa/FBKWbGBGBUMEFBNIKBaBEMUPOR8OSFFLaeRUnUTKNBLD/NTOAPFQdekKgNU/NC"
    "BNxWWHFPWeNfHocKDiHW/PrNxPBNcfdkjF/GgkwnNxBBARPrJpaEVMNUgPeBR/E";

static const char iq3_s_steps[] =
    "AAACBAAABBBADFEBCBBBEBGCCAAABDADCCDBDGMDEFADBACCCDCDFCBBBMCHFDCBGBCFDBMBDCKDBCFFCFOJBLBDEFDBOEKCBNQO"
    "GBBLBDEMDTAABDABBBABGCBNBCIFABCBDEGCFGBNFBJCBADFFCJCJGCCACFFADEQFKBEBMBGDBDUGCFGBOmDCMBaBEBGLDQFHABB"
    "BABBBCBDABGBBCBMACBCBFCDCCDCFGXCCJBEGBJDJCDBCDIBEBGFNKFICGCDYCGEIMAKMHBEJbDTDMBKEZGBBBCGBBEBCBJFHBBG"
    "EBMPJDBJFJBLYGDEBDAIBDFNHFEDGQFDMGBKEJJMSSfBMBKiDFFDCCGGPJEBBGFEFFDTBEEDJEOCFLEBEBGDiBRKAYLBJgYQTXEK"
    "KFYFDFNDCCLFEBBEGIfFIJEFMWEAOMELFFCLJLjLSB2fBN2BBLBUPPGcVRFKEFHLEO0NONCYTUaoB0DCIBLBLFPGKOBbCDFCGQYX"
    "CNVDFEXpPfWm";

const int8_t quants_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
const int8_t quants_fp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

int8_t quants_even_signs[128][8];

// The values that the digits stand for.
static const int8_t signs[] = {-1, 0, 1}, twos[] = {8, 25, 43};
static const int8_t threes[] = {4, 12, 20, 28, 36, 44, 52, 62}, odds[] = {1, 3, 5, 7, 9, 11, 13, 15};

#define GRID(name, elements, count) \
    int8_t quants_##name##_values[count][elements]; \
    static uint16_t name##_packed[count];
GRID(iq1, 8, 2048)
GRID(iq2_xxs, 8, 256)
GRID(iq2_xs, 8, 512)
GRID(iq2_s, 8, 1024)
GRID(iq3_xxs, 4, 256)
GRID(iq3_s, 4, 512)

static int digit(char c) {
    if (c >= 'a') return c - 'a' + 26;
    if (c >= 'A') return c - 'A';
    return c >= '0' ? c - '0' + 52 : c == '+' ? 62 : 63;
}

static void expand(
    const char *steps, int elements, int base, int bits, const int8_t *levels, int8_t *y, uint16_t *packed) {
    int number = -1;
    for (; *steps; steps++) {
        number += digit(*steps);
        if (*steps == '/') continue;
        number++;
        *packed = 0;
        for (int i = 0, rest = number; i < elements; i++, rest /= base) {
            *y++ = levels[rest % base];
            *packed |= (uint16_t)(rest % base << bits * i);
        }
        packed++;
    }
}

// Before `main`: the tables are small, and a test whether they are there would stand in every inner loop.
__attribute__((constructor)) static void expand_grids(void) {
    expand(iq1_steps, 8, 3, 2, signs, *quants_iq1_values, iq1_packed);
    expand(iq2_xxs_steps, 8, 3, 2, twos, *quants_iq2_xxs_values, iq2_xxs_packed);
    expand(iq2_xs_steps, 8, 3, 2, twos, *quants_iq2_xs_values, iq2_xs_packed);
    expand(iq2_s_steps, 8, 3, 2, twos, *quants_iq2_s_values, iq2_s_packed);
    expand(iq3_xxs_steps, 4, 8, 3, threes, *quants_iq3_xxs_values, iq3_xxs_packed);
    expand(iq3_s_steps, 4, 8, 3, odds, *quants_iq3_s_values, iq3_s_packed);
    for (int i = 0; i < 128; i++) {
        const int all = i | __builtin_parity((unsigned)i) << 7;
        for (int j = 0; j < 8; j++) quants_even_signs[i][j] = all >> j & 1 ? -1 : 1;
    }
}

const uint16_t *quants_grid(uint32_t type, long *count) {
    switch (type) {
    case QUANTS_IQ1_S: case QUANTS_IQ1_M: *count = 2048; return iq1_packed;
    case QUANTS_IQ2_XXS: *count = 256; return iq2_xxs_packed;
    case QUANTS_IQ2_XS: *count = 512; return iq2_xs_packed;
    case QUANTS_IQ2_S: *count = 1024; return iq2_s_packed;
    case QUANTS_IQ3_XXS: *count = 256; return iq3_xxs_packed;
    case QUANTS_IQ3_S: *count = 512; return iq3_s_packed;
    default: *count = 0; return 0;
    }
}

// MARK: Encoding

static uint16_t nearest_iq1[6561], nearest_iq2_xxs[6561], nearest_iq2_xs[6561], nearest_iq2_s[6561];
static uint16_t nearest_iq3_xxs[4096], nearest_iq3_s[4096];

/// Squared distances of every half of a combination from every entry's half, then of both together: the halves are few.
static void find_nearest(
    const int8_t *values, int count, int elements, int base, const int8_t *levels, uint16_t *nearest) {
    const int half = elements / 2, halves = elements == 8 ? 81 : 64;
    int32_t *distances = malloc(sizeof(int32_t) * 2 * halves * count);
    if (!distances) abort();
    for (int side = 0; side < 2; side++) {
        for (int number = 0; number < halves; number++) {
            for (int index = 0; index < count; index++) {
                int distance = 0;
                for (int i = 0, rest = number; i < half; i++, rest /= base) {
                    const int difference = values[elements * index + half * side + i] - levels[rest % base];
                    distance += difference * difference;
                }
                // The index below the distance, so that the least of all is the first of the nearest.
                distances[(side * halves + number) * count + index] = side ? distance << 12 : distance << 12 | index;
            }
        }
    }
    for (int number = 0; number < halves * halves; number++) {
        const int32_t *low = distances + number % halves * count;
        const int32_t *high = distances + (halves + number / halves) * count;
        int32_t least = INT32_MAX;
        for (int index = 0; index < count; index++) {
            const int32_t distance = low[index] + high[index];
            least = distance < least ? distance : least;
        }
        nearest[number] = (uint16_t)(least & 4095);
    }
    free(distances);
}

#define NEAREST(name, count, elements, base, levels)                                                 \
    static void find_nearest_##name(void) {                                                          \
        find_nearest(*quants_##name##_values, count, elements, base, levels, nearest_##name);        \
    }                                                                                                \
    static const uint16_t *get_nearest_##name(void) {                                                \
        static pthread_once_t once = PTHREAD_ONCE_INIT;                                              \
        pthread_once(&once, find_nearest_##name);                                                    \
        return nearest_##name;                                                                       \
    }
NEAREST(iq1, 2048, 8, 3, signs)
NEAREST(iq2_xxs, 256, 8, 3, twos)
NEAREST(iq2_xs, 512, 8, 3, twos)
NEAREST(iq2_s, 1024, 8, 3, twos)
NEAREST(iq3_xxs, 256, 4, 8, threes)
NEAREST(iq3_s, 512, 4, 8, odds)

const uint16_t *quants_nearest(uint32_t type) {
    switch (type) {
    case QUANTS_IQ2_XXS: return get_nearest_iq2_xxs();
    case QUANTS_IQ2_XS: return get_nearest_iq2_xs();
    case QUANTS_IQ2_S: return get_nearest_iq2_s();
    case QUANTS_IQ3_XXS: return get_nearest_iq3_xxs();
    case QUANTS_IQ3_S: return get_nearest_iq3_s();
    default: return get_nearest_iq1();
    }
}
