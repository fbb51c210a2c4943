"""What the fuzzer starts from: archives, TorchScript source, DUMP payloads, and words of the grammar.

Programs that never end are not the fuzzer's subject: no loop here is bounded by an argument or a number, and
no operation makes its result grow when it is applied to it again and again.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.endurance.wire import Wire
from tests.engine import models

TENSOR_KEYS = [f"t{i}" for i in range(6)]
MODEL_KEYS = [f"m{i}" for i in range(4)]
SCRIPT_KEYS = [f"s{i}" for i in range(3)]
OTHER_KEYS = ["a string", "missing", ""]
KEYS = TENSOR_KEYS + MODEL_KEYS + SCRIPT_KEYS + OTHER_KEYS

DTYPES = ["FLOAT", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "BOOL", "STRING"]
DTYPES += ["HALF", "BFLOAT16"]
DEVICES = ["CPU", "CPU:1", "cpu", "CPU:63", "CPU:64", "CPU:-1", "GPU", "GPU:0", "TPU", ""]
BOUNDARIES = [-1, 0, 1, 2, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, -(2**63), 10**30]
# A shape between these would be granted, and is gigabytes.
DIMS = [0, 1, 2, 3, 5, 25]
HUGE_DIMS = [2**33, 2**62, 2**63 - 1, 2**63, 10**30, -1, -(2**63)]
_WORDS = """
    BLOB VALUES META TAG BATCHSIZE MINBATCHSIZE MINBATCHTIMEOUT INPUTS OUTPUTS KEYS ARGS ENTRY_POINTS SOURCE
    LOAD PERSIST ROUTING TIMEOUT |> $ RESETSTAT GET TORCH TF ONNX CPU AI.TENSORSET AI.TENSORGET
    AI.MODELEXECUTE AI.SCRIPTEXECUTE AI.MODELRUN AI.SCRIPTRUN
"""
WORDS = _WORDS.split()

SIGNATURE = "(tensors: List[Tensor], keys: List[str], args: List[str]):"
SOURCE = f"""
def add{SIGNATURE}
    return tensors[0] + tensors[1]

def pair{SIGNATURE}
    return [tensors[0] + tensors[1], tensors[0] * tensors[1]]

def scale{SIGNATURE}
    return tensors[0] * float(args[0])

def write_input{SIGNATURE}
    return tensors[0].add_(1)

def total{SIGNATURE}
    result = tensors[0]
    for tensor in tensors:
        result = result + tensor
    return result.to(torch.float16)

def call{SIGNATURE}
    redis.execute(args[0], args[1:])

def replies{SIGNATURE}
    return torch.tensor([len(redis.asList(redis.execute(args[0], args[1:])))])

def run_model{SIGNATURE}
    return redisAI.model_execute(keys[0], tensors, int(args[0]))

def sparse{SIGNATURE}
    return tensors[0].to_sparse()

def complex{SIGNATURE}
    return torch.complex(tensors[0], tensors[0])

def expanded{SIGNATURE}
    return torch.ones([1]).expand([3, 4])[1:, ::2]

def too_large{SIGNATURE}
    return torch.ones([1]).expand([1000000, 1000000, 1000000])

def no_memory{SIGNATURE}
    return torch.ones([1000000, 1000000, 1000000])

def deep{SIGNATURE}
    return [[tensors[0]], [tensors[0]]]

def fail{SIGNATURE}
    assert False, "two\\nlines"
    return tensors[0]

def text{SIGNATURE}
    return args[0]

def nothing{SIGNATURE}
    pass

def helper(a, b):
    return a - b

def rest(first, others: List[Tensor]):
    for other in others:
        first = first + other
    return first
"""
FUNCTIONS = [line.removeprefix("def ").partition("(")[0] for line in SOURCE.splitlines() if "def " in line]
OUTPUT_COUNTS = {"pair": 2, "deep": 2, "call": 0, "nothing": 0}
"""How many tensors a function gives, where it is not one."""

ENTRY_POINTS = FUNCTIONS[: FUNCTIONS.index("helper")]
# What a mutation of source inserts.
_TOKENS = r"""
    ( ) [ ] { } : , = + -1 0 1e400 ** . ... @ lambda def return if else None True not Tensor List[Any] self
    torch redis redisAI redis.execute('PING') redis.asList(1) tensors tensors[99] keys args int(args[0]) raise
    assert torch.nn torch.ops x.y ' " # \\
"""
TOKENS = [*_TOKENS.split(), "\0", "\xff", "\n", "\n    ", "\t", "(" * 400, "-" * 400, "(" * 100_000]

MODULES = [
    models.AddAndMultiply(),  # the first model key's, of two inputs and outputs; the others have one
    models.Double(),
    models.Empty(),
    models.Identity(),
    models.OptionalInput(),
    models.RefusesNan(),
    models.RowsSeen(),
    models.Scalar(),
    models.ReturnsText(),
    models.ToHalf(),
    models.Weights(3),
    models.WritesItsInput(),
]


@dataclass(frozen=True)
class Material:
    """Archives of models, and payloads of DUMP of tensors, models and scripts (t, m, s)."""

    archives: list[bytes]
    payloads: dict[str, list[bytes]]


def gather(wire: Wire) -> Material:
    """Return the material; fills the server and empties it again."""
    archives = [models.blob(module) for module in MODULES]
    for dtype in DTYPES:
        wire.call("AI.TENSORSET", dtype, dtype, 2, 3)
    wire.call("AI.TENSORSET", "scalar", "FLOAT", "VALUES", 1)
    wire.call("AI.TENSORSET", "strings", "STRING", 2, "VALUES", "one", "two")
    wire.call("AI.MODELSTORE", "model", "TORCH", "CPU", "BLOB", archives[0])
    options = ["TAG", "v1", "BATCHSIZE", 4, "MINBATCHSIZE", 2, "MINBATCHTIMEOUT", 5]
    wire.call("AI.MODELSTORE", "batching", "TORCH", "CPU:1", *options, "BLOB", archives[1])
    entry_points = ["ENTRY_POINTS", len(ENTRY_POINTS), *ENTRY_POINTS]
    wire.call("AI.SCRIPTSTORE", "script", "CPU", *entry_points, "SOURCE", SOURCE)
    keys = {"m": ["model", "batching"], "s": ["script"], "t": [*DTYPES, "scalar", "strings"]}
    payloads = {kind: [wire.call("DUMP", key) for key in names] for kind, names in keys.items()}
    wire.call("FLUSHALL")
    return Material(archives, payloads)
