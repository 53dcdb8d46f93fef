#!/usr/bin/env python3
"""Checks gguf-fuzz's file format against the `gguf` Python package (pip install gguf).

    gguf-interop.py read FILE...            read files of ours, check that every tensor decodes to finite numbers
    gguf-interop.py write FILE              write a file with the package, for us to read
    gguf-interop.py encode TYPE IN OUT      float32 numbers to tensor data of that type
    gguf-interop.py decode TYPE IN OUT      tensor data of that type to float32 numbers

Exit status: 0 where all is well, 1 where it is not.
"""

import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

ENCODABLE = ("F32", "F16", "BF16", "Q8_0", "Q4_0")
INTEGERS = {"I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}
WIDE = {"F64": np.float64}


def encoded(name, values):
    """Rows of float32 numbers as tensor data; the last dimension is the row."""
    with np.errstate(all="ignore"):
        return quantize(values, GGMLQuantizationType[name])


def decoded(name, data):
    """Tensor data as the package's reader gives it, or as plain bytes."""
    if name in INTEGERS or name in WIDE:
        return data.view(INTEGERS.get(name) or WIDE[name]).astype(np.float32)
    with np.errstate(all="ignore"):
        return dequantize(data, GGMLQuantizationType[name])


def read(paths):
    for path in paths:
        reader = GGUFReader(path)
        checked = 0
        for tensor in reader.tensors:
            name = tensor.tensor_type.name
            try:
                values = decoded(name, np.asarray(tensor.data))
            except NotImplementedError:
                print(f"{path}: {tensor.name}: the package cannot decode {name}")
                continue
            if values.size != tensor.n_elements:
                sys.exit(f"{path}: {tensor.name}: {values.size} numbers, but {tensor.n_elements} elements")
            if not np.isfinite(values).all():
                sys.exit(f"{path}: {tensor.name}: numbers that are not finite")
            checked += 1
        keys = sum(not key.startswith("GGUF.") for key in reader.fields)
        print(f"{path}: {keys} keys, {len(reader.tensors)} tensors, {checked} decoded, all finite")


def write(path):
    writer = GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    writer.add_uint8("interop.uint8", 255)
    writer.add_int8("interop.int8", -128)
    writer.add_uint16("interop.uint16", 65535)
    writer.add_int16("interop.int16", -32768)
    writer.add_uint32("interop.uint32", 2**32 - 1)
    writer.add_int32("interop.int32", -(2**31))
    writer.add_float32("interop.float32", 0.1)
    writer.add_bool("interop.bool", True)
    writer.add_string("interop.string", "süß 語")
    writer.add_uint64("interop.uint64", 2**64 - 1)
    writer.add_int64("interop.int64", -(2**63))
    writer.add_float64("interop.float64", 0.1)
    writer.add_array("interop.integers", [1, -2, 3])
    writer.add_array("interop.strings", ["a", "ü", "語"])
    # Every number is a multiple of 1/64 within ±4, as the reading side expects.
    values = ((np.arange(3 * 64, dtype=np.int64) * 37 % 512 - 256) / 64).astype(np.float32).reshape(3, 64)
    for name in ENCODABLE:
        data = encoded(name, values)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=GGMLQuantizationType[name])
    for name, kind in {**INTEGERS, **WIDE}.items():
        writer.add_tensor(f"{name}.weight", np.arange(-3, 4).astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(command, *rest):
    if command == "read" and rest:
        read(rest)
    elif command == "write" and len(rest) == 1:
        write(*rest)
    elif command == "encode" and len(rest) == 3:
        encoded(rest[0], np.fromfile(rest[1], np.float32)).tofile(rest[2])
    elif command == "decode" and len(rest) == 3:
        decoded(rest[0], np.fromfile(rest[1], np.uint8)).tofile(rest[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["help"]))
