"""How fast a machine is: measured here (:mod:`heed.planning.calibration`), or from a vendor's data sheet.

A work takes the time of its operations or of its bytes, whichever is longer (the roofline, Williams et al. 2009), and a
moment for each kernel that is started. On a data sheet's GPU nothing is measured: the shares of the peak that are
assumed are :data:`ASSUMED`, and the result is arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

from heed.errors import ConfigError, nearest
from heed.planning.costs import Work

MIB, GIB = 2**20, 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Of one kind of work."""

    flops: float
    """Operations per second that matrices of the trunk reach, everything between them included."""
    attention_flops: float
    """The same of attention."""
    head_flops: float
    """The same of the output embedding, with the softmax."""
    launch_seconds: float
    """For each kernel, whatever its size."""
    table_seconds: float = 0.0
    """For each table of attention, whatever its size."""

    def seconds(self, work: Work, bandwidth: float) -> float:
        """How long a work takes."""
        matrices = work.linear_flops / self.flops + work.head_flops / self.head_flops
        computing = matrices + work.attention_flops / self.attention_flops + work.attended * self.table_seconds
        return max(computing, work.bytes / bandwidth) + work.launches * self.launch_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What runs the models."""

    name: str
    measured: bool
    """False: from a data sheet, and assumed shares of it."""
    dtype: str
    threads: int
    """CPU threads of one operation; 0 on a GPU."""
    memory: float
    """Bytes there are."""
    bandwidth: float
    """Bytes per second."""
    peak_flops: float
    """Operations per second of one large product of matrices (measured), or of the data sheet."""
    train: Speed
    forward: Speed
    decode: Speed
    update: Speed
    process_bytes: float
    """What a process holds before there is any model: Python and its libraries. 0 on a GPU."""
    chunk_numbers: int
    """Logits that are held at a time."""

    def seconds(self, work: Work) -> float:
        """How long a work takes here."""
        speeds = {"train": self.train, "forward": self.forward, "decode": self.decode, "update": self.update}
        return speeds[work.kind].seconds(work, self.bandwidth)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSheet:
    """What a vendor says of a GPU. Dense rates, no sparsity."""

    half_tflops: float
    """bfloat16 with float32 sums on tensor cores (float16 where there is no bfloat16)."""
    float32_tflops: float
    """float32 outside of tensor cores: what PyTorch does unless TF32 is allowed."""
    bandwidth_gbs: float
    memory_gb: float
    bfloat16: bool = True


GPUS = {
    "B200": DataSheet(half_tflops=2250, float32_tflops=75, bandwidth_gbs=7700, memory_gb=180),
    "H200": DataSheet(half_tflops=989, float32_tflops=67, bandwidth_gbs=4800, memory_gb=141),
    "H100": DataSheet(half_tflops=989, float32_tflops=67, bandwidth_gbs=3350, memory_gb=80),
    "H100-PCIe": DataSheet(half_tflops=756, float32_tflops=51, bandwidth_gbs=2000, memory_gb=80),
    "A100-80": DataSheet(half_tflops=312, float32_tflops=19.5, bandwidth_gbs=2039, memory_gb=80),
    "A100-40": DataSheet(half_tflops=312, float32_tflops=19.5, bandwidth_gbs=1555, memory_gb=40),
    "MI300X": DataSheet(half_tflops=1307, float32_tflops=163.4, bandwidth_gbs=5300, memory_gb=192),
    "L40S": DataSheet(half_tflops=362, float32_tflops=91.6, bandwidth_gbs=864, memory_gb=48),
    "L4": DataSheet(half_tflops=121, float32_tflops=30.3, bandwidth_gbs=300, memory_gb=24),
    "A10": DataSheet(half_tflops=125, float32_tflops=31.2, bandwidth_gbs=600, memory_gb=24),
    "RTX-4090": DataSheet(half_tflops=165, float32_tflops=82.6, bandwidth_gbs=1008, memory_gb=24),
    "RTX-3090": DataSheet(half_tflops=71, float32_tflops=35.6, bandwidth_gbs=936, memory_gb=24),
    "T4": DataSheet(half_tflops=65, float32_tflops=8.1, bandwidth_gbs=320, memory_gb=16, bfloat16=False),
}
"""From the data sheets and architecture white papers of NVIDIA (B200 in HGX, H100 and H200 SXM5, Hopper; A100 SXM4,
A10, Ampere GA100 and GA102; L4, L40S, Ada AD102; T4, Turing TU102) and of AMD (Instinct MI300X)."""

ASSUMED = {"train": 0.35, "forward": 0.45, "head": 0.35, "bandwidth": 0.6, "launch_seconds": 6e-6, "spare": 0.92}
"""Shares of the peak that training, forward passes, the output embedding and memory are assumed to reach; what starting
a kernel from Python takes; the share of memory that is usable. Training runs of large models report 0.3 to 0.5
(Chowdhery et al. 2022, table 3; Korthikanti et al. 2022)."""


def find_gpu(name: str) -> tuple[str, DataSheet]:
    """The data sheet of a GPU, whatever the case and the hyphens of its name.

    Raises:
        ConfigError: there is none of that name; the nearest one is suggested.
    """

    def plain(text: str) -> str:
        return "".join(letter for letter in text.lower() if letter.isalnum()).removeprefix("nvidia").removesuffix("gb")

    for known, sheet in GPUS.items():
        if plain(known) == plain(name):
            return known, sheet
    raise ConfigError(f"there is no data sheet of a GPU {name!r}; known are {', '.join(GPUS)}.{nearest(name, GPUS)}")


def from_data_sheet(name: str, dtype: str = "bfloat16") -> Machine:
    """A GPU as its data sheet and :data:`ASSUMED` have it.

    Raises:
        ConfigError: there is no such GPU here, or it has no bfloat16.
    """
    known, sheet = find_gpu(name)
    if dtype == "bfloat16" and not sheet.bfloat16:
        raise ConfigError(f"{known} has no bfloat16; plan for it with --dtype float32")
    peak = 1e12 * (sheet.float32_tflops if dtype == "float32" else sheet.half_tflops)
    bandwidth = 1e9 * sheet.bandwidth_gbs * ASSUMED["bandwidth"]
    launch, head = ASSUMED["launch_seconds"], peak * ASSUMED["head"]
    train, forward = peak * ASSUMED["train"], peak * ASSUMED["forward"]
    return Machine(
        name=known,
        measured=False,
        dtype=dtype,
        threads=0,
        memory=1e9 * sheet.memory_gb * ASSUMED["spare"],
        bandwidth=bandwidth,
        peak_flops=peak,
        train=_even(train, head, launch),
        forward=_even(forward, head, launch),
        decode=_even(forward, head, launch),
        update=_even(peak, peak, launch / 5),  # fused: few kernels for all parameters
        process_bytes=0.0,
        chunk_numbers=2**26,
    )


def _even(flops: float, head: float, launch: float) -> Speed:
    return Speed(flops=flops, attention_flops=flops, head_flops=head, launch_seconds=launch)
