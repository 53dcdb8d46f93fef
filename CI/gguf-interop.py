#!/usr/bin/env python3
"""Checks gguf-fuzz's file format against the `gguf` Python package (pip install gguf).

    gguf-interop.py read FILE...            read files of ours, check that every tensor decodes to finite numbers
    gguf-interop.py write FILE              write a file with the package, for us to read
    gguf-interop.py encode TYPE IN OUT      float32 numbers to tensor data of that type
    gguf-interop.py decode TYPE IN OUT      tensor data of that type to float32 numbers
    gguf-interop.py checksums               the table of checksums in Tests/GGUFTests/ChecksumTests.swift

What the package cannot decode or encode, ggml does, where llama-cpp-python is installed.

Exit status: 0 where all is well, 1 where it is not.
"""

import ctypes
import pathlib
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

ENCODABLE = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "TQ1_0", "TQ2_0", "MXFP4")
# What ggml encodes in one way only.
ENCODABLE_BY_GGML = ("Q1_0", "Q2_0", "Q8_1", "NVFP4")
# Number, elements and bytes of a block, where release 0.19 of the package has none, or others than ggml.
LAYOUTS = {"Q2_0": (42, 64, 18), "Q8_1": (9, 32, 36)}
INTEGERS = {"I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64}
WIDE = {"F64": np.float64}


def layout(name):
    """Number, elements and bytes of a block."""
    if name in LAYOUTS:
        return LAYOUTS[name]
    kind = GGMLQuantizationType[name]
    return (kind.value, *GGML_QUANT_SIZES[kind])


class Traits(ctypes.Structure):
    """The beginning of ggml's `struct ggml_type_traits`."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("block_size", ctypes.c_int64), ("interleaved", ctypes.c_int64),
        ("type_size", ctypes.c_size_t), ("is_quantized", ctypes.c_bool), ("to_float", ctypes.c_void_p),
        ("from_float", ctypes.c_void_p),
    ]


def ggml_convert(name, field, source, result, count):
    """Runs one of the conversions of a type's traits."""
    import llama_cpp

    package = pathlib.Path(llama_cpp.__file__).resolve().parent
    places = [package / "lib", package.parent / "lib"]
    library = next(path for place in places for path in sorted(place.glob("libggml-base.*")))
    traits = ctypes.CDLL(str(library)).ggml_get_type_traits
    traits.restype = ctypes.POINTER(Traits)
    address = getattr(traits(layout(name)[0]).contents, field)
    if not address:
        raise NotImplementedError(f"ggml has no {field} of {name}")
    convert = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
    convert(source.ctypes.data, result.ctypes.data, count)
    return result


def encoded(name, values):
    """Rows of float32 numbers as tensor data; the last dimension is the row."""
    values = np.ascontiguousarray(values)
    if name in ENCODABLE_BY_GGML:
        _, elements, size = layout(name)
        data = np.zeros((*values.shape[:-1], values.shape[-1] // elements * size), np.uint8)
        return ggml_convert(name, "from_float", values, data, values.size)
    with np.errstate(all="ignore"):
        return quantize(values, GGMLQuantizationType[name])


def decoded(name, data):
    """Tensor data as the package's reader gives it, or as plain bytes."""
    if name in INTEGERS or name in WIDE:
        return data.view(INTEGERS.get(name) or WIDE[name]).astype(np.float32)
    with np.errstate(all="ignore"):
        _, elements, size = layout(name)
        # Of these, neither decodes either: they are for products inside ggml.
        if name == "Q8_1":
            blocks = data.reshape(-1, size)
            return (blocks[:, :2].copy().view(np.float16).astype(np.float32) * blocks[:, 4:].view(np.int8)).ravel()
        if name == "Q8_K":
            blocks = data.reshape(-1, size)
            return (blocks[:, :4].copy().view(np.float32) * blocks[:, 4:260].view(np.int8)).ravel()
        if name not in ("Q1_0", "Q2_0"):
            return dequantize(data, GGMLQuantizationType[name])
        data = np.ascontiguousarray(data)
        count = data.size // size * elements
        return ggml_convert(name, "to_float", data, np.empty(count, np.float32), count)


def words(seed, count):
    """SplitMix64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return z ^ z >> np.uint64(31)


def fnv1a(data):
    result = 0xCBF29CE484222325
    for byte in data.tobytes():
        result = (result ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return result


def checksums():
    """Of random bytes, decoded, with every NaN the same; and of numbers within ±1, encoded."""
    for name in [*(kind.name for kind in GGMLQuantizationType if kind.name != "Q2_0"), "Q2_0"]:
        number, elements, size = layout(name)
        if elements == 1:
            continue
        data = (words(number, 64 * size) & np.uint64(255)).astype(np.uint8)
        values = np.ascontiguousarray(decoded(name, data).ravel())
        values[np.isnan(values)] = np.nan
        kind = name.lower().split("_")
        swift = "_".join([kind[0], *(part.upper() for part in kind[1:])])
        numbers = (words(number, 16 * 256).view(np.int64) >> 40).astype(np.float32) / 2**23
        same = "nil"
        if name in ENCODABLE or name in ENCODABLE_BY_GGML:
            same = f"0x{fnv1a(encoded(name, numbers)):016x}"
        print(f"        (.{swift}, 0x{fnv1a(values):016x}, {same}),")


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
    values = ((np.arange(3 * 256, dtype=np.int64) * 37 % 512 - 256) / 64).astype(np.float32).reshape(3, 256)
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
    elif command == "checksums" and not rest:
        checksums()
    elif command == "encode" and len(rest) == 3:
        encoded(rest[0], np.fromfile(rest[1], np.float32)).tofile(rest[2])
    elif command == "decode" and len(rest) == 3:
        decoded(rest[0], np.fromfile(rest[1], np.uint8)).tofile(rest[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["help"]))
