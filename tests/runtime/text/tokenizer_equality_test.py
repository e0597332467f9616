"""Our ids must be those of the `tokenizers` package."""
import json
import os
import random
import subprocess
import unicodedata
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ["RUBATO_BUILD_DIR"]) / "tests/runtime/text/rubato_tokenize_lines"
SPECIAL = {"<|startoftext|>": 126080, "<|endoftext|>": 126081, "<|mdm_mask|>": 126336, "<|start_header_id|>": 126346,
           "<|end_header_id|>": 126347, "<|eot_id|>": 126348}
LLADA_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
               r"|\s*[\r\n]|\s+(?!\S)|\s+")


def character(rng):
    """Any character that both libraries' Unicode tables know (3.11's are version 14, as PCRE2 10.42's): newer ones
    are unassigned in one and letters in the other."""
    while True:
        point = rng.choice([rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x10000), rng.randrange(0x110000)])
        if unicodedata.category(chr(point)) not in ("Cs", "Cn"):
            return chr(point)


def strings(seed, count):
    rng = random.Random(seed)
    words = ["Ann", "has", " 12", "don't", "DON'T", "we'll", "\n\n", "   ", "\t", "def f(x):", "####", "é", "🎈", "漢字", "x" * 40,
             "<|eot_id|>", "\u200d", "e\u0301", "שלום", "\r\n", "1234567", "==", "...", " ", "\u00a0",
             "\u180e", "\u0085", "\x1c", "\u200b", "\ufeff", "ſ", "K"]
    for _ in range(count):
        pieces = [rng.choice(words) if rng.random() < 0.6 else character(rng) for _ in range(rng.randrange(1, 14))]
        yield "".join(pieces)


def compare(tokenizer_json, count):
    reference = Tokenizer.from_file(str(tokenizer_json))
    reference.encode_special_tokens = True  # special tokens in text are text
    texts = list(strings(7, count))
    done = subprocess.run([PROGRAM, tokenizer_json], input="".join(json.dumps(t) + "\n" for t in texts), capture_output=True,
                          text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(texts)
    for text, ids in zip(texts, found):
        assert ids == reference.encode(text, add_special_tokens=False).ids, ascii(text)


def test_embedded_model():
    compare(ROOT / "models/llada-tiny/tokenizer.json", 20000)


def test_lladas_expression_and_ids_at_full_size(tmp_path):
    data = json.loads((ROOT / "models/llada-tiny/tokenizer.json").read_text())
    data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = LLADA_SPLIT
    vocabulary, merges = data["model"]["vocab"], data["model"]["merges"]
    letters = sorted(token for token in vocabulary if len(token) == 1)
    rng = random.Random(1)
    pieces = list(vocabulary)
    while len(vocabulary) < 126080:  # merges of what is there already, so that every token can come about
        left, right = rng.choice(pieces), rng.choice(letters)
        if left + right not in vocabulary:
            merges.append([left, right])
            vocabulary[left + right] = len(vocabulary)
            pieces.append(left + right)
    data["added_tokens"] = [dict(data["added_tokens"][0], id=number, content=token) for token, number in SPECIAL.items()]
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(data))
    compare(file, 20000)
