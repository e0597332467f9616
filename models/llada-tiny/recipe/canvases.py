"""What the model is trained on: canvases of prompt, answer and padding, which positions are masked, and their weights in the loss."""
import random
import re

import torch

import tasks
from tokenizer import prompt

SHAPES = [(128, 40), (192, 26), (256, 20), (352, 14), (608, 8), (864, 6), (1120, 5)]  # canvas length, canvases a batch; few, for each is compiled
EOS_FILL_WEIGHT = 0.1  # EOS beyond the answer is easy; keep it from drowning the answer


class Canvases:
    """Questions and answers as token ids, packed into canvases (prompt, answer, <|eot_id|>, EOS to the end) of a few lengths."""

    def __init__(self, tokenizer, seed):
        self.rng, self.tokenizer, self.gathering = random.Random(seed), tokenizer, {}
        self.id = tokenizer.token_to_id
        self.eos, self.eot, self.mask = self.id("<|endoftext|>"), self.id("<|eot_id|>"), self.id("<|mdm_mask|>")

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def pair(self, task):
        """A question and its answer as token ids."""
        _, question, answer, _ = tasks.sample(self.rng, task)
        return self.encode(prompt(question)), self.encode(answer) + [self.eot]

    def gathered(self, draw):
        """Rows that `draw` gives (their ids first), of one shape, once there are enough for a batch of it; and that shape's length."""
        while True:
            row = draw()
            shape = next((s for s in SHAPES if s[0] >= len(row[0])), None)
            if shape is None:
                continue
            waiting = self.gathering.setdefault(shape, [])
            waiting.append(row)
            if len(waiting) == shape[1]:
                return self.gathering.pop(shape), shape[0]

    def pack(self, rows, length):
        ids = torch.full((len(rows), length), self.eos)
        for i, row in enumerate(rows):
            ids[i, :len(row)] = torch.tensor(row)
        return ids


class Drill(Canvases):
    """Canvases in which every line's result is asked at once.

    In a true answer each result stands again at the start of the next line, so only the last result before the masked part is a question
    and a whole forward pass teaches one sum. Here every line starts from a number of its own: results no longer leak, and a canvas
    asks all its sums, and which operand belongs to which line, together.
    """

    def __init__(self, tokenizer, seed, long_chains):
        super().__init__(tokenizer, seed)
        self.long_chains = long_chains

    def lines(self, task):
        """The question's ids and the answer's lines as (first operand, sign, second operand, result)."""
        if task == "chain":
            steps = self.rng.randint(4, 24) if self.rng.random() < self.long_chains else self.rng.randint(1, 10)
            question, answer, _ = tasks.chain(self.rng, steps)
        else:
            question, answer, _ = tasks.word_problem(self.rng)
        result, lines = None, []
        for line in answer.split("\n")[:-1]:
            start, sign, n = line.split()[:3]
            start, n = int(start), int(n)
            if result is not None:  # the first line keeps its number, which the question gives
                if task == "chain":
                    start = self.rng.randint(1, 50) if sign == "+" else self.rng.randint(10, 59)
                else:
                    low, high = {"*": (2, 20), "+": (1, min(60 - n, 47)), "-": (n + 1, 60)}[sign]
                    start = self.rng.randint(low, high)
            result = start + n if sign == "+" else start - n if sign == "-" else start * n
            lines.append((start, sign, n, result))
        return self.encode(prompt(question)), lines

    def sample(self, task):
        """Ids, and for each position whether it is masked and its weight in the loss."""
        rng = self.rng
        ids, lines = self.lines(task)
        masked, weight = [False] * len(ids), [0.0] * len(ids)
        cut = rng.randint(1, len(lines)) if rng.random() < 0.5 else None  # beyond the cut everything is masked, nothing is asked

        def put(text, hide, w):
            new = self.encode(text)
            ids.extend(new)
            for _ in new:
                masked.append(hide)
                weight.append(w if hide else 0.0)

        for i, (start, sign, n, result) in enumerate(lines):
            if cut is not None and i >= cut:
                put(f"{start} {sign} {n} = {result}\n", True, 0.0)
                continue
            ask = rng.random() < 0.9
            body = ask and rng.random() < 0.35  # sign and operand are asked too
            put(f"{start}", False, 0)
            if body and rng.random() < 0.5:
                put(f" {sign} {n} =", True, 1.0)
            else:
                put(f" {sign} ", body and rng.random() < 0.5, 1.0)
                put(f"{n}", body, 1.0)
                put(" =", False, 0)
            put(" ", ask and rng.random() < 0.3, 0.5)
            digits = str(result)
            which = rng.random()  # now and then one digit was committed before the other
            for j, digit in enumerate(digits):
                known = len(digits) == 2 and (which < 0.12 and j == 0 or which > 0.88 and j == 1)
                put(digit, ask and not known, 2.0)
            put("\n", ask and rng.random() < 0.5, 1.0)
        if cut is None:
            put("#### ", rng.random() < 0.3, 1.0)
            for digit in str(lines[-1][3]):
                put(digit, True, 0.5)
            ids.append(self.eot)
            masked.append(rng.random() < 0.5)
            weight.append(0.5 * masked[-1])
        else:
            put(f"#### {lines[-1][3]}", True, 0.0)
            ids.append(self.eot)
            masked.append(True)
            weight.append(0.0)
        return ids, masked, weight, cut

    def draw(self):
        return self.sample("word_problem" if self.rng.random() < 0.5 else "chain")

    def batch(self):
        rows, length = self.gathered(self.draw)
        ids = self.pack([r[0] for r in rows], length)
        masked, weight = torch.zeros(ids.shape, dtype=torch.bool), torch.zeros(ids.shape)
        for i, (_, m, w, cut) in enumerate(rows):
            masked[i, :len(m)], weight[i, :len(w)] = torch.tensor(m), torch.tensor(w)
            if cut is not None:
                masked[i, len(m):] = True
        return ids, masked, weight


class ListDrill(Drill):
    """Beginnings of lists of savings, of which most lines are asked at once.

    As in `Drill`, the lines that are shown do not betray those that are asked: a shown line starts from a number of its own,
    and the one to three lines behind it, which are masked, go on from there.
    """

    def __init__(self, tokenizer, seed):
        super().__init__(tokenizer, seed, long_chains=0)

    def draw(self):
        rng = self.rng
        question, answer, _ = tasks.savings(rng)
        start, gain = (int(x) for x in re.findall(r"\d+", question)[:2])
        weeks = rng.randint(40, answer.count("\n"))
        ids = self.encode(prompt(question))
        masked, weight = [False] * len(ids), [0.0] * len(ids)

        def put(text, hide, w=1.0):
            new = self.encode(text)
            ids.extend(new)
            masked.extend([hide] * len(new))
            weight.extend([w if hide else 0.0] * len(new))

        cut = rng.randint(weeks // 2, weeks) if rng.random() < 0.4 else weeks + 1
        value, hidden = start, 2 if rng.random() < 0.7 else 0  # the first lines follow from the question
        for week in range(1, weeks + 1):
            if week > cut:
                put(f"{week}: {value + gain}\n", True, 0.0)
                value += gain
                continue
            if hidden == 0:
                value = rng.randint(max(2, gain), 999 - 5 * gain) if rng.random() < 0.5 else start + gain * (week + rng.randint(-3, 3))
                value = max(value, 1)
                put(f"{week}: {value}\n", False)
                hidden = rng.randint(1, 3)
                continue
            value += gain
            hidden -= 1
            head = rng.random()
            put(f"{week}", head < 0.6)
            put(":", head < 0.4)
            put(" ", head < 0.3)
            digits, known = str(value), rng.random()
            for j, digit in enumerate(digits):
                put(digit, not (known < 0.15 and j == 0 or known > 0.85 and j == len(digits) - 1), 2.0)
            put("\n", rng.random() < 0.6)
        return ids, masked, weight, weeks  # what is behind the list is masked


class Decoding(Canvases):
    """Canvases as the decoder itself leaves them: a pool of answers in the middle of being decoded by the model under training.

    Each step trains on some of them and commits what the model was confident of (the right token, whatever it had said),
    so masks follow the decoder's own for no extra forward pass. A finished answer makes room for a new one. Half of the
    answers are decoded in blocks of 32, half in a window of the first 16 masked positions.
    """

    BLOCK, WINDOW = 32, 16
    LARGEST = {"word_problem": 2, "chain": 5, "code": 2, "savings": 7}  # how many of the shapes are used
    POOL = {"word_problem": 240, "chain": 240, "code": 160, "savings": 120}
    SKIP = 0.15  # how often a canvas is carried on to a place somewhat farther on, everything before it committed

    def __init__(self, tokenizer, seed, short_chains=0.0):
        super().__init__(tokenizer, seed)
        self.short_chains, self.pools, self.newline = short_chains, {}, self.encode("\n")[0]

    def fresh(self, pool, task, i):
        question, answer = self.pair(task)
        if task == "chain" and self.rng.random() < self.short_chains:
            words, text, _ = tasks.chain(self.rng, self.rng.randint(1, 5))
            question, answer = self.encode(prompt(words)), self.encode(text) + [self.eot]
        row = question + answer
        pool["ids"][i] = self.eos
        pool["ids"][i, :len(row)] = torch.tensor(row)
        done = self.far_on(answer) if task == "savings" else 0
        pool["masked"][i] = torch.arange(pool["ids"].shape[1]) >= len(question) + done
        pool["start"][i], pool["end"][i] = len(question), len(row)
        pool["threshold"][i] = 0.9 if self.rng.random() < 0.6 else self.rng.uniform(0.6, 0.97)
        pool["blocks"][i] = self.rng.random() < 0.5

    def far_on(self, answer):
        """How much of a list is given: anything, or all before its numbers grow longer, which is rare in it and comes often so."""
        line_ends = [i + 1 for i, token in enumerate(answer) if token == self.newline]
        sizes = [b - a for a, b in zip(line_ends, line_ends[1:])]
        longer = [i for i, (a, b) in enumerate(zip(sizes, sizes[1:])) if b > a]
        where = self.rng.random()
        if where < 0.3:
            return line_ends[max(0, self.rng.choice(longer) - self.rng.randint(0, 2))]
        return line_ends[self.rng.randrange(len(line_ends) - 4)] if where < 0.7 else 0

    def pool(self, task):
        if task not in self.pools:
            size = self.POOL[task]
            zero = lambda *s: torch.zeros(s, dtype=torch.long)
            pool = dict(ids=zero(size, SHAPES[-1][0]), masked=zero(size, SHAPES[-1][0]).bool(), start=zero(size), end=zero(size),
                        threshold=torch.zeros(size), blocks=zero(size).bool())
            for i in range(size):
                self.fresh(pool, task, i)
                # begin anywhere in the answer, so that the pool is mixed from the start
                pool["masked"][i, :self.rng.randrange(pool["start"][i], pool["end"][i])] = False
            self.pools[task] = pool
        return self.pools[task]

    def batch(self, task):
        pool = self.pool(task)
        order = pool["end"].argsort()
        near = self.rng.randrange(len(order))
        fits = [i for i, (length, _) in enumerate(SHAPES[:self.LARGEST[task]]) if length >= pool["end"][order[near]]]
        length, count = SHAPES[fits[0] if self.rng.random() < 0.6 else self.rng.choice(fits)]  # the rest of the canvas is masked too
        first = max(0, min(near - count // 2, int((pool["end"] <= length).sum()) - count))
        rows = order[first:first + count]
        ids, masked = pool["ids"][rows, :length], pool["masked"][rows, :length]
        at, start = torch.arange(length)[None], pool["start"][rows, None]
        block = start + (masked.int().argmax(1, keepdim=True) - start) // self.BLOCK * self.BLOCK
        eligible = masked & torch.where(pool["blocks"][rows, None], at < block + self.BLOCK, masked.cumsum(1) <= self.WINDOW)
        # What comes soon counts in full; farther on much cannot be known yet.
        weight = torch.where(eligible.cumsum(1) <= 8, 1.0, 0.5) * torch.where(at < pool["end"][rows, None], 1.0, EOS_FILL_WEIGHT) * eligible
        self.last = task, rows, eligible
        return ids, masked, weight

    def advance(self, logits, asked):
        """Commit, given the logits at the asked positions."""
        task, rows, eligible = self.last
        pool, length = self.pools[task], eligible.shape[1]
        confidence = torch.full(eligible.shape, -1.0)
        confidence[asked] = logits.softmax(-1).amax(-1)
        commit = eligible & (confidence >= torch.minimum(pool["threshold"][rows, None], confidence.amax(1, keepdim=True)))
        masked = pool["masked"][rows, :length] & ~commit
        for j, i in enumerate(rows.tolist()):
            if self.rng.random() < self.SKIP:
                masked[j, :int(masked[j].int().argmax()) + self.rng.randint(1, 24)] = False
            if not masked[j, :pool["end"][i]].any():
                self.fresh(pool, task, i)
            else:
                pool["masked"][i, :length] = masked[j]


class Uniform(Canvases):
    """LLaDA's own masking: a share t of the answer part, loss weighted by 1 / t."""

    def __init__(self, tokenizer, seed, mix):
        super().__init__(tokenizer, seed)
        self.mix = mix

    def draw(self):
        task, = self.rng.choices(["word_problem", "chain", "code", "savings"], self.mix)
        question, answer = self.pair(task)
        return question + answer, len(question)

    def batch(self):
        rows, length = self.gathered(self.draw)
        ids = self.pack([row for row, _ in rows], length)
        start, end = torch.tensor([start for _, start in rows])[:, None], torch.tensor([len(row) for row, _ in rows])[:, None]
        at, count = torch.arange(length)[None], len(rows)
        share = ((torch.arange(count) + torch.rand(1)) / count)[torch.randperm(count)].clamp(0.05, 1)[:, None]  # evenly spread t
        masked = (torch.rand(ids.shape) < share) & (at >= start)
        return ids, masked, torch.where(at < end, 1.0, EOS_FILL_WEIGHT) * masked * (0.25 / share)
