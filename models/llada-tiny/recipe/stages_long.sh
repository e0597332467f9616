#!/bin/sh
# How llada-tiny-long came out of llada-tiny, in order. Each ended by its time on two cores that others used as well; how many steps
# that was is in training_long.log. Stages 1 to 3 mixed all tasks, and lists of 40 to 120 weeks that ended with `#### total`; from stage
# 4 on there were lists only. Such lists the model never learned to end: up to stage 5 it went on counting (of 16 questions none right,
# though every line looked at was). So stage 6 took the list that fills any canvas, and decodes under `elastic`. Up to stage 3
# canvases.py had no `far_on`, and `Uniform` a mix of its own. Stages 1 and 2 were stopped by hand, the latter because decoding lists
# under `elastic` took minutes a step before the model could do them; so was stage 3, which had spoiled the other tasks, and stage 6,
# after 50 steps: its lists had canvases of 608, 864 and 1120 (unrolled.py), which took too long. Stage 7 failed at step 280, and stage 8
# began from its checkpoint of step 250.
set -e
export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184
train="python train.py --context 1280 --tokenizer start/tokenizer.json --steps 100000 --eager --threads 2"
python soften.py .. start 1.25 # as before its last step
$train --init start --out long1 --minutes 40 --hold 0.4 --warmup 20 --lr 5e-4 --muon 0.005 \
    --drill 0.08 --list-drill 0.35 --uniform 0.05 --elastic 0.12 --mix 2,4,0.8,4 --short-chains 0.1 --ema 0.985 --seed 9000
$train --init-raw long1 --out long2 --minutes 38 --hold 0.4 --warmup 10 --lr 5e-4 --muon 0.005 \
    --drill 0.08 --list-drill 0.33 --uniform 0.05 --elastic 0.14 --mix 2,4,0.8,4 --short-chains 0.1 --ema 0.985 --seed 9100
$train --init-raw long2 --out long3 --minutes 22 --hold 0.5 --warmup 5 --lr 5e-4 --muon 0.005 \
    --drill 0.08 --list-drill 0.32 --uniform 0.05 --elastic 0 --mix 2,4,0.8,5 --short-chains 0.1 --ema 0.985 --seed 9200
$train --init-raw long3 --out long4 --minutes 26 --hold 0.5 --warmup 5 --lr 5e-4 --muon 0.005 \
    --drill 0 --list-drill 0.45 --uniform 0.07 --elastic 0 --mix 0,0,0,1 --ema 0.985 --seed 9300
$train --init long4 --out long5 --minutes 20 --hold 0.5 --warmup 10 --lr 4e-4 --muon 0.004 \
    --drill 0 --list-drill 0.25 --uniform 0.02 --elastic 0 --mix 0,0,0,1 --ema 0.98 --seed 9400
$train --init long5 --out long6 --minutes 27 --hold 0.3 --warmup 10 --lr 3e-4 --muon 0.003 \
    --drill 0 --list-drill 0.15 --uniform 0.01 --elastic 0.5 --soften 0.8 --mix 0,0,0,1 --ema 0.98 --seed 9500
$train --init-raw long6 --out long7 --minutes 22 --hold 0.25 --warmup 4 --lr 3e-4 --muon 0.003 \
    --drill 0 --list-drill 0.1 --uniform 0 --elastic 0.55 --soften 0.8 --mix 0,0,0,1 --ema 0.97 --seed 9600
$train --init-raw long7 --out long8 --minutes 8 --hold 0 --warmup 2 --lr 1.7e-4 --muon 0.0017 \
    --drill 0 --list-drill 0.1 --uniform 0 --elastic 0.5 --soften 0.8 --mix 0,0,0,1 --ema 0.97 --seed 9700
$train --init-raw long8 --out long9 --minutes 45 --hold 0.35 --warmup 4 --lr 2.5e-4 --muon 0.0025 \
    --drill 0 --list-drill 0.1 --uniform 0 --elastic 0.5 --soften 0.8 --mix 0,0,0,1 --ema 0.97 --seed 9800
python soften.py long9 llada-tiny-long 0.65 # at 0.8 `none` committed 17 tokens a pass at length 1024, and 26 of 40 were right
