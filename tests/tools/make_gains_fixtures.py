#!/usr/bin/env python3
"""Writes tests/data/gains: gain matrices as NumPy, h5py and SciPy write them. Needs numpy, h5py, scipy:

    python3 -m venv venv && venv/bin/pip install numpy h5py scipy
    venv/bin/python tests/tools/make_gains_fixtures.py tests/data/gains

Made with numpy 2.4.6, h5py 3.16.0 (HDF5 2.0.0), scipy 1.17.1. Arrays hold gain[n][i][j] = 16 n + 4 i + j + 0.5 (of integers:
without the half), of 2 problems, 3 rows and 4 columns, exact in 32 bits; a single matrix is that of problem 0.

matlab_7.4.mat is none of these: MATLAB 7.4 wrote it (testhdf5_7.4_GLNX86.mat of SciPy's tests, BSD), testdouble = 0:pi/4:2*pi."""
import os
import sys
import zipfile

import h5py
import numpy as np
import scipy.io

where = sys.argv[1]
os.makedirs(where, exist_ok=True)
n, i, j = np.meshgrid(range(2), range(3), range(4), indexing="ij")
whole = 16 * n + 4 * i + j
stack = whole + 0.5
matrix = stack[0]
complexes = matrix + 1j * (matrix + 1)


def path(name):
    return os.path.join(where, name)


def numpy_files():
    np.save(path("f8.npy"), matrix)
    np.save(path("f4.npy"), matrix.astype(np.float32))
    np.save(path("big_endian.npy"), matrix.astype(">f8"))
    np.save(path("big_endian_f4.npy"), matrix.astype(">f4"))
    np.save(path("fortran.npy"), np.asfortranarray(matrix))
    np.save(path("stack.npy"), stack)
    np.save(path("stack_fortran.npy"), np.asfortranarray(stack))
    for name in ("i1", "u1", "<i2", ">i2", "<u2", "<i4", "<u4", "<i8", ">i8", "<u8"):
        np.save(path(name.replace("<", "").replace(">", "big_") + ".npy"), whole.astype(name))
    for version in (2, 3):
        with open(path(f"version{version}.npy"), "wb") as file:
            np.lib.format.write_array(file, stack, version=(version, 0))
    np.save(path("complex.npy"), complexes)
    np.save(path("complex64.npy"), complexes.astype(np.complex64))
    np.save(path("f2.npy"), matrix.astype(np.float16))
    # refused
    np.save(path("object.npy"), np.array([[{"a": 1}, 2], [3, 4]], dtype=object), allow_pickle=True)
    np.save(path("records.npy"), np.zeros((2, 2), dtype=[("a", "<f8"), ("b", "<f8")]))
    np.save(path("bool.npy"), whole[0] > 3)
    np.save(path("vector.npy"), matrix[0])
    np.save(path("scalar.npy"), np.float64(1.0))
    np.save(path("empty.npy"), np.zeros((0, 3)))
    broken = matrix.copy()
    broken[1, 2] = np.nan
    np.save(path("nan.npy"), broken)
    broken = stack.copy()
    broken[1, 2, 3] = -0.25
    np.save(path("negative.npy"), broken)


def archives():
    np.savez(path("stored.npz"), gains=stack)
    np.savez_compressed(path("deflated.npz"), gains=stack)
    np.savez_compressed(path("two.npz"), first=matrix, second=stack)
    # refused: 20 MB of zeros in 20 KB that are no array, and that stand behind a small one
    small = open(path("f8.npy"), "rb").read()
    for name, start in (("bomb.npz", b""), ("bomb_behind.npz", small)):
        info = zipfile.ZipInfo("gains.npy", (2020, 1, 1, 0, 0, 0))
        with zipfile.ZipFile(path(name), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr(info, start + bytes(20_000_000), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path("bzip2.npz"), "w", zipfile.ZIP_BZIP2) as archive:
        archive.write(path("f8.npy"), "gains.npy")
    with zipfile.ZipFile(path("no_members.npz"), "w") as archive:
        pass


def hdf5_files():
    def create(name):
        return h5py.File(path(name), "w", libver=("earliest", "v110"), track_order=False)

    with create("plain.h5") as file:
        file["gains"] = stack
    with create("packed.hdf5") as file:
        file.create_dataset("cell/gains", data=stack, chunks=(1, 2, 3), compression="gzip", shuffle=True,
                            fletcher32=True)
    with create("types.h5") as file:
        file["big"] = stack.astype(">f4")
        file["whole"] = whole.astype(">i2")
        file["unsigned"] = whole.astype("<u8")
        file["complex"] = complexes
        file["vector"] = matrix[0]
        file["text"] = "not gains"
        file["records"] = np.zeros((2, 2), dtype=[("a", "<f8"), ("b", "<f8")])
        file.create_dataset("huge", shape=(1 << 40, 3, 3), chunks=(1, 3, 3), dtype="f8")
        file.create_dataset("unwritten", shape=(4096, 64, 64), chunks=(1, 64, 64), dtype="f8")
        file.create_dataset("wide_chunks", shape=(2, 2), maxshape=(None, None), chunks=(1 << 14, 1 << 13),
                            dtype="f4")
        file.create_dataset("outside", shape=(2, 2), dtype="f8", external=[("/etc/passwd", 0, 32)])
    with create("vectors.h5") as file:
        file["vector"] = matrix[0]


def matlab_file(name, arrays):
    """As MATLAB's save -v7.3 lays it out: a user block with its mark, dimensions in reverse, MATLAB_class."""
    with h5py.File(path(name), "w", userblock_size=512, libver=("earliest", "v110")) as file:
        for key, array in arrays.items():
            data = np.ascontiguousarray(array.T)
            if np.iscomplexobj(array):
                pair = np.zeros(data.shape, dtype=[("real", "<f8"), ("imag", "<f8")])
                pair["real"], pair["imag"] = data.real, data.imag
                data = pair
            dataset = file.create_dataset(key, data=data, chunks=data.shape, compression="gzip", compression_opts=3)
            kind = {"f8": "double", "f4": "single", "i4": "int32"}.get(data.dtype.str[1:], "double")
            dataset.attrs.create("MATLAB_class", np.bytes_(kind))
    mark = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Wed Jan  1 00:00:00 2020 HDF5 schema 1.00 ."
    with open(path(name), "r+b") as file:
        file.write(mark.ljust(124) + b"\x00\x02IM")


def matlab_files():
    # MATLAB's A(i, j, n): the problem is the third dimension
    matlab_file("matrix.mat", {"G": matrix})
    matlab_file("stack.mat", {"G": np.moveaxis(stack, 0, 2)})
    matlab_file("single.mat", {"G": matrix.astype(np.float32)})
    matlab_file("coefficients.mat", {"H": complexes})
    scipy.io.savemat(path("old.mat"), {"G": matrix})


numpy_files()
archives()
hdf5_files()
matlab_files()
