# shellcheck shell=bash
# Sourced by up: the SPANK plugin, the test image, and the clusters' shared directory. The image is a
# root that borrows /usr and a few files of the host read-only (.image-binds) and has programs of its
# own in /opt, copied from tests/cluster/image; nothing else of the host is in it.

build_plugin() {
    local out=$dir/lib/spank_container.so
    if [[ $out -nt $here/spank_container.c && $out -nt $here/container_build.c ]]; then
        return 0
    fi
    gcc -std=c17 -O1 -g -Wall -Wextra -Wshadow -Werror -fPIC -shared -o "$out.new" \
        "$here/spank_container.c" "$here/container_build.c"
    mv "$out.new" "$out"
}

# Replaces the image by a rename, so that a step that starts meanwhile finds a whole one.
build_image() {
    local images=$dir/shared/images new=$dir/shared/images/.nel-test.new entry
    rm -rf "$new"
    mkdir -p "$new"/{etc,proc,sys,dev,tmp,run,root,home,usr,opt,var/tmp,workspace}
    chmod 1777 "$new/tmp" "$new/var/tmp"
    for entry in bin sbin lib lib32 lib64 libx32; do
        if [[ -L /$entry ]]; then
            cp -P "/$entry" "$new/$entry"
        elif [[ -d /$entry ]]; then
            mkdir "$new/$entry"
            printf '/%s\n' "$entry" >>"$new/.image-binds"
        fi
    done
    printf '%s\n' /usr /etc/alternatives /etc/ssl /etc/ld.so.cache /etc/nsswitch.conf \
        /etc/passwd /etc/group >>"$new/.image-binds"
    cp -r "$here/image/." "$new/"
    chmod -R u=rwX,go=rX "$new/opt"
    cat >"$new/.image-env" <<'END'
PATH=/opt/nel-test/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PYTHONPATH=/opt/nel-test/python
NEL_TEST_IMAGE=nel-test
END
    printf '/workspace\n' >"$new/.image-workdir"
    rm -rf "$images/.nel-test.old"
    [[ ! -e $images/nel-test ]] || mv "$images/nel-test" "$images/.nel-test.old"
    mv "$new" "$images/nel-test"
    rm -rf "$images/.nel-test.old"
    rm -f "$images/nel-test.sqsh"
    mksquashfs "$images/nel-test" "$images/nel-test.sqsh" -quiet -no-progress -all-root >"$dir/log/mksquashfs.log"
    alias_images
}

# The names that configs use for the images of servers and evaluators, all standing for the test image.
alias_images() {
    local images=$dir/shared/images catalogue=$here/../../daemon/config/tasks.tsv name
    {
        printf '%s\n' vllm/vllm-openai:latest lmsysorg/sglang:latest haproxy:latest python:3.12.7-slim \
            nvcr.io/nvidia/tensorrt-llm/release:1.0.0 nel-test nel-test:latest
        if [[ -f $catalogue ]]; then
            grep -v '^#' "$catalogue" | cut -f 3 | sort -u
        fi
    } | while read -r name; do
        name=${name//[\/:#]/+}
        [[ -e $images/$name ]] || ln -s nel-test "$images/$name"
    done
}

# What the nodes of a cluster share in life: results, models, caches, images.
make_shared() {
    local user model=$dir/shared/models/llama-3.1-8b-instruct
    mkdir -p "$model" "$dir/shared/cache/huggingface" "$dir/shared/images"
    printf '{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256}\n' >"$model/config.json"
    chmod 1777 "$dir/shared/cache" "$dir/shared/cache/huggingface"
    for user in "${users[@]}"; do
        install -d -m 0755 -o "$user" -g "$(id -gn "$user")" "$dir/shared/$user"
    done
}

# Accounts that can log in by key alone. Those made here are written down, so that down removes no others.
make_users() {
    local user home
    for user in "${users[@]}"; do
        home=$dir/home/$user
        if ! getent passwd "$user" >/dev/null; then
            useradd -m -d "$home" -s /bin/bash -p '*' "$user" 2>>"$dir/log/useradd.log"
            printf '%s\n' "$user" >>"$dir/users-made"
        elif [[ $(getent passwd "$user" | cut -d : -f 6) == "$home" ]]; then
            # Left by an `up` whose directory was removed by hand.
            install -d -m 0755 -o "$user" -g "$(id -gn "$user")" "$home"
            grep -qxF "$user" "$dir/users-made" 2>/dev/null || printf '%s\n' "$user" >>"$dir/users-made"
        fi
    done
}
