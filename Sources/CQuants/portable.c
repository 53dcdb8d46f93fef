#pragma STDC FP_CONTRACT OFF
#define CODECS quants_codecs_portable
#include "Codecs.h"
