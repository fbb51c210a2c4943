"""Commands of the engine and about its keys, most of them right, as a random generator gives them.

What is generated depends on the generator and the material alone, never on what the server answers, so that
a seed is enough to see the same commands again.
"""

from __future__ import annotations

from random import Random

from tests.endurance import material, mutate
from tests.endurance.wire import to_bytes

MUTATED_SHARE = 0.3
DAMAGED_SHARE = 0.3
RIGHT_SHARE = 0.9
MAX_BATCH_WAIT_MS = 50

# RESTORE of what is no longer what DUMP gave. A model that waits for company longer than the fuzzer for a
# reply is taken back at once.
RESTORE = f"""
local reply = redis.pcall('RESTORE', KEYS[1], 0, ARGV[1], 'REPLACE')
local meta = redis.pcall('AI.MODELGET', KEYS[1], 'META')
if not meta.err and meta[16] > {MAX_BATCH_WAIT_MS} then redis.call('DEL', KEYS[1]) end
return reply
"""


class Grammar:
    """Makes commands, each a list of bytes with its name first."""

    def __init__(self, random: Random, found: material.Material) -> None:
        self._random = random
        self._found = found
        self._names = material.TENSOR_KEYS  # of tensors; in a DAG, of those that it has
        self._rules = [
            (10, self.tensorset),
            (8, self.tensorget),
            (5, self.modelstore),
            (3, self.modelget),
            (1, lambda: ["AI.MODELDEL", self.key("m")]),
            (12, lambda: self.with_timeout(self.modelexecute())),
            (1, lambda: [self.one_of("AI._MODELSCAN", "AI._SCRIPTSCAN")]),
            (4, self.scriptstore),
            (2, lambda: ["AI.SCRIPTGET", self.key("s"), *self.some("META", "SOURCE")]),
            (1, lambda: ["AI.SCRIPTDEL", self.key("s")]),
            (12, lambda: self.with_timeout(self.scriptexecute())),
            (14, self.dag),
            (3, self.modelset),
            (4, lambda: self.with_timeout(self.modelrun())),
            (2, self.scriptset),
            (4, lambda: self.with_timeout(self.scriptrun())),
            (6, self.dagrun),
            (2, lambda: ["AI.INFO", self.key(self.one_of("m", "s")), *self.some("RESETSTAT")]),
            (2, self.config),
            (10, self.restore),
            (12, self.about_keys),
            (2, self.about_server),
        ]

    def command(self) -> list[bytes]:
        """Return the next command, whole or mutated."""
        weights = [weight for weight, _ in self._rules]
        rule = self._random.choices(self._rules, weights)[0][1]
        command = [to_bytes(argument) for argument in rule()]
        if command[0].upper().startswith(b"AI.") and self._random.random() < MUTATED_SHARE:
            command = mutate.arguments(self._random, command)
        if command[0].startswith(b"AI.") and self._random.random() < 0.03:
            command = [b"COMMAND", b"GETKEYS", *command]
        return _with_short_wait(command)

    def restocking(self) -> list[list[bytes]]:
        """Return commands, none mutated, that store something of every kind."""
        commands = [["AI.TENSORSET", key, "FLOAT", 2, 3, "VALUES", *range(6)] for key in material.TENSOR_KEYS]
        for key in material.MODEL_KEYS:
            archive = self.archive(key)
            commands.append(["AI.MODELSTORE", key, "TORCH", "CPU", *self.batching(), "BLOB", archive])
        for key in material.SCRIPT_KEYS:
            names = material.ENTRY_POINTS
            entry_points = ["ENTRY_POINTS", len(names), *names]
            commands.append(["AI.SCRIPTSTORE", key, "CPU", *entry_points, "SOURCE", material.SOURCE])
        return [[to_bytes(argument) for argument in command] for command in commands]

    def one_of(self, *choices):
        return self._random.choice(choices)

    def some(self, *choices) -> list:
        return [choice for choice in choices if self._random.random() < 0.4]

    def key(self, kind: str) -> str:
        """Return a key that is, most often, of the kind t, m or s."""
        if not self.is_right():
            return self._random.choice(material.KEYS)
        keys = {"t": self._names, "m": material.MODEL_KEYS, "s": material.SCRIPT_KEYS}
        return self._random.choice(keys[kind])

    def is_right(self) -> bool:
        return self._random.random() < RIGHT_SHARE

    def tensors(self, count: int) -> list[str]:
        return [self.key("t") for _ in range(count if self.is_right() else self.one_of(0, 1, 2, 3))]

    def counted(self, word: str, names: list) -> list:
        return [word, len(names), *names]

    def tensorset(self) -> list:
        dtype = self.one_of("FLOAT", self.one_of(*material.DTYPES))
        dims = [self._random.choice(material.DIMS) for _ in range(self.one_of(0, 1, 1, 2, 2, 3))]
        if self._random.random() < 0.5:
            dims = [2, 3]
        if self._random.random() < 0.05:
            dims.append(self._random.choice(material.HUGE_DIMS))
        command = ["AI.TENSORSET", self.key("t"), dtype, *dims]
        count = 1
        for dim in dims:
            count *= dim
        form = self.one_of("VALUES", "VALUES", "BLOB", "")
        if form == "VALUES" and 0 <= count <= 125:
            return [*command, form, *(self.value() for _ in range(count))]
        if form == "BLOB" and 0 <= count <= 125:
            size_bytes = count * self.one_of(1, 2, 4, 4, 8)
            return [*command, form, self.one_of(bytes(size_bytes), self._random.randbytes(size_bytes))]
        return command

    def value(self):
        if self._random.random() < 0.98:
            return self.one_of(0, 1)
        return self.one_of(2, 1.5, "nan", "-inf", "text", *material.BOUNDARIES)

    def tensorget(self) -> list:
        return ["AI.TENSORGET", self.key("t"), *self.some("META", "BLOB", "VALUES")]

    def batching(self) -> list:
        if self._random.random() < 0.5:
            return []
        options = ["BATCHSIZE", self.one_of(1, 2, 8)]
        if self._random.random() < 0.5:
            options += [
                "MINBATCHSIZE",
                self.one_of(1, 2, 3),
                "MINBATCHTIMEOUT",
                self.one_of(1, MAX_BATCH_WAIT_MS),
            ]
        return options

    def device(self) -> str:
        return self.one_of("CPU", "CPU", "CPU:1") if self.is_right() else self.one_of(*material.DEVICES)

    def archive(self, key: str) -> bytes:
        """Return an archive for the key, whole."""
        of_key = self._found.archives[:1] if key == material.MODEL_KEYS[0] else self._found.archives[1:]
        return self._random.choice(of_key if self.is_right() else self._found.archives)

    def blob(self, key: str) -> list:
        archive = self.archive(key)
        if self._random.random() < DAMAGED_SHARE:
            archive = mutate.archive(self._random, archive)
        if self._random.random() < 0.8:
            return ["BLOB", archive]
        at = self._random.randrange(len(archive) + 1)
        return ["BLOB", archive[:at], archive[at:]]

    def tag(self) -> list:
        return ["TAG", self.one_of("v1", "", "\0")] if self._random.random() < 0.3 else []

    def modelstore(self) -> list:
        key, backend = self.key("m"), "TORCH" if self.is_right() else self.one_of("torch", "TF", "")
        return ["AI.MODELSTORE", key, backend, self.device(), *self.tag(), *self.batching(), *self.blob(key)]

    def modelset(self) -> list:
        command = self.modelstore()
        return ["AI.MODELSET", *command[1:]]

    def modelget(self) -> list:
        return ["AI.MODELGET", self.key("m"), *self.some("META", "BLOB")]

    def model_call(self) -> tuple[str, list, list]:
        """Return a model's key, inputs and outputs."""
        key = self.key("m")
        count = 2 if key == material.MODEL_KEYS[0] else 1
        return key, self.tensors(count), self.tensors(count)

    def modelexecute(self) -> list:
        key, inputs, outputs = self.model_call()
        return ["AI.MODELEXECUTE", key, *self.counted("INPUTS", inputs), *self.counted("OUTPUTS", outputs)]

    def modelrun(self) -> list:
        key, inputs, outputs = self.model_call()
        return ["AI.MODELRUN", key, "INPUTS", *inputs, "OUTPUTS", *outputs]

    def source(self) -> bytes:
        source = material.SOURCE.encode()
        damaged = self._random.random() < DAMAGED_SHARE
        return mutate.source(self._random, source) if damaged else source

    def scriptstore(self) -> list:
        names = material.ENTRY_POINTS if self.is_right() else material.FUNCTIONS
        options = [self.device(), *self.tag(), *self.counted("ENTRY_POINTS", names)]
        return ["AI.SCRIPTSTORE", self.key("s"), *options, "SOURCE", self.source()]

    def scriptset(self) -> list:
        return ["AI.SCRIPTSET", self.key("s"), self.device(), *self.tag(), "SOURCE", self.source()]

    def script_arguments(self) -> list:
        """Return arguments of which some functions make a command."""
        if self._random.random() < 0.3:
            return [self.one_of(0, 1, 2, -1, "nan", "")]
        if self._random.random() < 0.2:
            return ["AI.SCRIPTEXECUTE", self.key("s"), self.function(), "KEYS", 0, "ARGS", 1, "PING"]
        rule = self.one_of(self.tensorget, self.modelexecute, self.modelget, self.about_keys, self.modelstore)
        return rule()

    def function(self) -> str:
        return self.one_of("call", "run_model", self.one_of(*material.FUNCTIONS, "missing", "two\nlines"))

    def scriptexecute(self) -> list:
        function = self.function()
        command = ["AI.SCRIPTEXECUTE", self.key("s"), function, *self.counted("KEYS", [self.key("m")])]
        lists = {
            "INPUTS": self.tensors(2),
            "ARGS": self.script_arguments(),
            "OUTPUTS": self.tensors(material.OUTPUT_COUNTS.get(function, 1)),
        }
        for word, names in lists.items():
            if self.is_right():
                command += self.counted(word, names)
        return command

    def scriptrun(self) -> list:
        function = self.function()
        names = ["INPUTS", *self.tensors(1), *self.some("$"), *self.tensors(1), "OUTPUTS", *self.tensors(1)]
        return ["AI.SCRIPTRUN", self.key("s"), function, *names]

    def with_timeout(self, command: list) -> list:
        """Return the command, at times with a limit to its wait where its form has it."""
        if self._random.random() < 0.8:
            return command
        timeout = ["TIMEOUT", self.one_of(1, 5, 1000)]
        at = {"AI.MODELRUN": 2, "AI.SCRIPTRUN": 3}.get(command[0], len(command))
        return [*command[:at], *timeout, *command[at:]]

    def dag_of(self, form: str, *rules) -> list:
        """Return a DAG of up to five operations, which know the names that there are."""
        loaded = self._random.sample(material.TENSOR_KEYS, self.one_of(1, 2, 4))
        self._names = list(loaded)
        operations = []
        for _ in range(self._random.randrange(1, 6)):
            operation = self.one_of(*rules)()
            if operation[0] == "AI.TENSORSET":
                self._names.append(operation[1])
            operations += ["|>", *operation]
        header = self.counted("LOAD", loaded)
        if not form.endswith("_RO") and self._random.random() < 0.5:
            header += self.counted("PERSIST", self.tensors(2))
        self._names = material.TENSOR_KEYS
        if self._random.random() < 0.2:
            header += ["ROUTING", self.key("t")]
        return [*self.with_timeout([form, *header]), *operations]

    def dag(self) -> list:
        form = self.one_of("AI.DAGEXECUTE", "AI.DAGEXECUTE_RO")
        rules = [self.tensorset, self.tensorget, self.tensorget, self.modelexecute, self.modelexecute]
        if form == "AI.DAGEXECUTE":
            rules.append(self.scriptexecute)
        return self.dag_of(form, *rules)

    def dagrun(self) -> list:
        rules = [self.tensorset, self.tensorget, self.modelrun, self.modelrun, self.scriptrun]
        return self.dag_of(self.one_of("AI.DAGRUN", "AI.DAGRUN_RO"), *rules)

    def config(self) -> list:
        path = self.one_of("/tmp/redisai.so", ".", "")
        return self.one_of(
            ["AI.CONFIG", "GET", self.one_of("MODEL_CHUNK_SIZE", "BACKENDSPATH", "X")],
            ["AI.CONFIG", "MODEL_CHUNK_SIZE", self.one_of(1000, 2**20, 0, "x")],
            ["AI.CONFIG", "BACKENDSPATH", path],
            ["AI.CONFIG", "LOADBACKEND", self.one_of("TORCH", "TF"), path],
        )

    def restore(self) -> list:
        kind = self.one_of("t", "t", "m", "s")
        payload, other = (self._random.choice(self._found.payloads[of]) for of in (kind, self.one_of(*"tms")))
        if self._random.random() < 0.8:
            payload = mutate.payload(self._random, payload, other)
        return ["EVAL", RESTORE, 1, self.key(kind), payload]

    def about_keys(self) -> list:
        kind = self.one_of("t", "t", "m", "s")
        key, other = self.key(kind), self.key(kind)
        return self.one_of(
            ["DEL", key],
            ["UNLINK", key, other],
            ["RENAME", key, other],
            ["COPY", key, other, *self.some("REPLACE")],
            ["COPY", key, other, "DB", 1, "REPLACE"],
            ["MOVE", key, 1],
            ["EXPIRE", key, self.one_of(-1, 0, 1000)],
            ["PEXPIRE", key, self.one_of(1, 5, 20)],
            ["PERSIST", key],
            ["DUMP", key],
            ["TYPE", key],
            ["OBJECT", "ENCODING", key],
            ["MEMORY", "USAGE", key],
            ["SET", "a string", "text"],
            ["GET", key],
            ["APPEND", "a string", "x"],
        )

    def about_server(self) -> list:
        return self.one_of(
            ["FLUSHALL"],
            ["FLUSHALL", "ASYNC"],
            ["FLUSHDB"],
            ["SWAPDB", 0, 1],
            ["DEBUG", "RELOAD"],
            ["BGREWRITEAOF"],
            ["BGSAVE"],
            ["DEBUG", "DIGEST"],
            ["INFO", "everything"],
            ["MEMORY", "STATS"],
            ["SCRIPT", "FLUSH"],
            ["COMMAND", "DOCS", "ai.dagexecute"],
            ["ACL", "LIST"],
        )


def _with_short_wait(command: list[bytes]) -> list[bytes]:
    """Return the command with no MINBATCHTIMEOUT that is longer than the fuzzer waits for a reply."""
    for at, word in enumerate(command[:-1]):
        if word.upper() == b"MINBATCHTIMEOUT" and command[at + 1].isdigit():
            command[at + 1] = to_bytes(min(int(command[at + 1]), MAX_BATCH_WAIT_MS))
    return command
