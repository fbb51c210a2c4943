"""TorchScript source, as AI.SCRIPTSTORE takes it. Each function is for one behaviour of the engine."""

from __future__ import annotations

SOURCE = """
def add(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0] + tensors[1]

def add_and_multiply(tensors: List[Tensor], keys: List[str], args: List[str]):
    return [tensors[0] + tensors[1], tensors[0] * tensors[1]]

def scale(tensors: List[Tensor], keys: List[str], args: List[str]):
    factor = float(args[0])
    return tensors[0] * factor

def write_input(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0].add_(1)

def to_half(tensors: List[Tensor], keys: List[str], args: List[str]):
    return tensors[0].to(torch.float16)

def count_names(tensors: List[Tensor], keys: List[str], args: List[str]):
    return torch.tensor([len(tensors), len(keys), len(args)])

def fail(tensors: List[Tensor], keys: List[str], args: List[str]):
    assert False, "it is meant to fail"
    return tensors[0]

def nothing(tensors: List[Tensor], keys: List[str], args: List[str]):
    pass

def slow(tensors: List[Tensor], keys: List[str], args: List[str]):
    x = torch.ones(300, 300)
    for _ in range(int(args[0])):
        x = torch.mm(x, x).clamp(0, 1)
    return x[0, :1]

def helper(a, b):
    return a - b

def total(first, rest: List[Tensor]):
    for tensor in rest:
        first = first + tensor
    return first
"""

ENTRY_POINTS = [
    "add",
    "add_and_multiply",
    "scale",
    "write_input",
    "to_half",
    "count_names",
    "fail",
    "nothing",
    "slow",
]

# Functions that speak to the server. `number` and `text` make tensors of replies.
REDIS = """
def number(reply: Any):
    return torch.tensor([int(str(reply))])

def set_and_get(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("SET", keys[0], args[0])
    return number(redis.execute("GET", keys[0]))

def call(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute(args[0], args[1:])

def add_up_list(tensors: List[Tensor], keys: List[str], args: List[str]):
    total = 0
    for element in redis.asList(redis.execute("LRANGE", keys[0], 0, -1)):
        total += int(str(element))
    return torch.tensor([total])

def kind_of_reply(tensors: List[Tensor], keys: List[str], args: List[str]):
    reply = redis.execute(args[0], args[1:])
    kind = 0
    if isinstance(reply, int):
        kind = 1
    elif isinstance(reply, str):
        kind = 2
    elif isinstance(reply, List[Any]):
        kind = 3
    elif isinstance(reply, NoneType):
        kind = 4
    return torch.tensor([kind])

def kinds_of_arguments(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("RPUSH", keys[0], 1, 0.5, True, "text", ["a", "b"], [2, 3])

def as_list_of_a_number(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.asList(redis.execute("INCR", keys[0]))

def tensor_argument(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("SET", keys[0], tensors[0])

def increment(tensors: List[Tensor], keys: List[str], args: List[str]):
    for _ in range(int(args[0])):
        redis.execute("INCR", keys[0])

def run_model(tensors: List[Tensor], keys: List[str], args: List[str]):
    return redisAI.model_execute(args[0], tensors, int(args[1]))

def count_then_work(tensors: List[Tensor], keys: List[str], args: List[str]):
    for _ in range(100000):
        redis.execute("INCR", keys[0])
    return tensors[0]

def fill(tensors: List[Tensor], keys: List[str], args: List[str]):
    for i in range(1000):
        redis.execute("SETRANGE", keys[0] + str(i), 1000000, "x")

def wait_for(tensors: List[Tensor], keys: List[str], args: List[str]):
    for _ in range(100000):
        if isinstance(redis.execute("GET", keys[0]), str):
            return tensors[0]
    assert False, "nobody has set the key"
    return tensors[0]

def call_itself(tensors: List[Tensor], keys: List[str], args: List[str]):
    redis.execute("INCR", keys[0])
    redis.execute("AI.SCRIPTEXECUTE", "s", "call_itself", "KEYS", 1, keys[0])
"""

REDIS_ENTRY_POINTS = [
    "set_and_get",
    "call",
    "add_up_list",
    "kind_of_reply",
    "kinds_of_arguments",
    "as_list_of_a_number",
    "tensor_argument",
    "increment",
    "run_model",
    "count_then_work",
    "fill",
    "wait_for",
    "call_itself",
]

# Functions that take tensors one by one, as AI.SCRIPTRUN calls them.
PLAIN = """
def subtract(a, b):
    return a - b

def total(first, rest: List[Tensor]):
    for tensor in rest:
        first = first + tensor
    return first

def sum_of(tensors: List[Tensor]):
    return torch.stack(tensors).sum(0)

def both(a):
    return [a, a + 1]

def remember(a):
    redis.execute("SET", "seen", "yes")
    return a

def recall(a):
    return torch.tensor([int(str(redis.execute("GET", "number")))])
"""


def arguments(source: str = SOURCE, entry_points: list[str] | None = None) -> list:
    """All that follows the tag in AI.SCRIPTSTORE."""
    names = ENTRY_POINTS if entry_points is None else entry_points
    return ["ENTRY_POINTS", len(names), *names, "SOURCE", source]


REDIS_ARGUMENTS = arguments(REDIS, REDIS_ENTRY_POINTS)
