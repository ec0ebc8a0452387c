# shellcheck shell=bash disable=SC2154
# Sourced by up: the SPANK plugin, the test image, and the clusters' shared directory. The image is a
# root that borrows most of /usr and a few files of the host read-only (.image-binds) and has programs of its
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

# Apptainer and Singularity, for the clusters of settings that have them in place of the plugin: on the PATH of those who put
# lib/apptainer/bin there.
build_apptainer() {
    local out=$dir/lib/apptainer
    mkdir -p "$out/bin"
    install -m 0755 "$here/apptainer" "$out/bin/apptainer.py"
    ln -sfn apptainer.py "$out/bin/singularity.py"
    ln -sfn "$dir/shared/images" "$out/bin/images"
    gcc -std=c17 -O1 -g -Wall -Wextra -Wshadow -Werror -o "$out/apptainer.new" "$here/apptainer_setuid.c"
    chmod 4755 "$out/apptainer.new"
    mv "$out/apptainer.new" "$out/bin/apptainer"
    ln -f "$out/bin/apptainer" "$out/bin/singularity"
}

# The certificate of models.example.com, which the test image trusts.
make_certificate() {
    [[ ! -e $dir/lib/models.pem ]] || return 0
    (
        umask 077
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=models.example.com \
            -addext subjectAltName=DNS:models.example.com -keyout "$dir/lib/models.key" -out "$dir/lib/models.crt" \
            2>"$dir/log/certificate.log"
        cat "$dir/lib/models.crt" "$dir/lib/models.key" >"$dir/lib/models.pem"
    )
}

# Builds the image when what it is made of changed. The old one stays aside until `down`: a step may run on it.
build_image() {
    local images=$dir/shared/images new=$dir/shared/images/.new entry digest
    digest=$(cd "$here" && tar -c --sort=name --mtime=@0 image lib/image.bash | sha256sum)
    if [[ $digest == "$(cat "$dir/lib/image.digest" 2>/dev/null)" ]]; then
        return 0
    fi
    rm -rf "$new"
    mkdir -p "$new"/{etc,proc,sys,dev,tmp,run,root,home,usr/local/bin,opt,var/tmp,workspace}
    chmod 1777 "$new/tmp" "$new/var/tmp" "$new/usr/local/bin"
    for entry in /bin /sbin /lib /lib32 /lib64 /libx32 /usr/*; do
        if [[ -L $entry ]]; then
            cp -P "$entry" "$new$entry"
        elif [[ -d $entry && $entry != /usr/local ]]; then
            mkdir "$new$entry"
            printf '%s\n' "$entry" >>"$new/.image-binds"
        fi
    done
    printf '%s\n' /etc/alternatives /etc/ssl /etc/ld.so.cache /etc/nsswitch.conf \
        /etc/passwd /etc/group >>"$new/.image-binds"
    cp -r "$here/image/." "$new/"
    cp "$dir/lib/models.crt" "$new/opt/nel-test/ca.pem"
    chmod -R u=rwX,go=rX "$new/opt"
    cat >"$new/.image-env" <<'END'
PATH=/opt/nel-test/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PYTHONPATH=/opt/nel-test/python
SSL_CERT_FILE=/opt/nel-test/ca.pem
NEL_TEST_IMAGE=nel-test
END
    cp "$new/.image-env" "$new/etc/environment" # as enroot writes them into a squashfs
    printf '/workspace\n' >"$new/.image-workdir"
    rm -f "$images/.new.sqsh"
    mksquashfs "$new" "$images/.new.sqsh" -quiet -no-progress -all-root >"$dir/log/mksquashfs.log"
    if [[ -e $images/nel-test ]]; then
        mv "$images/nel-test" "$(mktemp -d "$images/.old.XXXXXX")"
    fi
    mv "$new" "$images/nel-test"
    mv "$images/.new.sqsh" "$images/nel-test.sqsh"
    printf '%s\n' "$digest" >"$dir/lib/image.digest"
}

# The names that configs use for the images of servers and evaluators, all standing for the test image.
alias_images() {
    local images=$dir/shared/images examples=$here/../../examples name catalogue
    catalogue=$(find "$here/../../daemon/config" -name tasks.tsv)
    {
        printf '%s\n' vllm/vllm-openai:latest lmsysorg/sglang:latest haproxy:latest python:3.12.7-slim \
            nvcr.io/nvidia/tensorrt-llm/release:1.0.0 nel-test nel-test:latest
        grep -rhoP '^ *(- )?(image|container|export_image): \K[^/ ]\S*' "$examples" --include='*.yaml'
        if [[ -f $catalogue ]]; then
            grep -v '^#' "$catalogue" | cut -f 3 | sort -u
        fi
    } | while read -r name; do
        name=${name//[\/:#]/+}
        [[ -e $images/$name ]] || ln -s nel-test "$images/$name"
    done
    ln -sfn nel-test.sqsh "$images/our-harness.sqsh"
}

# What the nodes of a cluster share in life: results, models, caches, images; with all that the examples name.
make_shared() {
    local user model shared=$dir/shared
    mkdir -p "$shared"/{images,evaluations,data/ifeval,tools,cache/{huggingface,nim}}
    for model in llama-3.1-8b-instruct llama-3.3-70b-instruct llama-3.1-405b-instruct qwen3-32b llama-3.1-8b-instruct-gguf; do
        mkdir -p "$shared/models/$model"
        printf '{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256}\n' \
            >"$shared/models/$model/config.json"
    done
    printf 'GGUF' >"$shared/models/llama-3.1-8b-instruct-gguf/model.gguf"
    printf '{}\n' >"$shared/data/ifeval/questions.jsonl"
    # shellcheck disable=SC2016  # a program of sh's
    printf 'echo "in $1: $(ls "$1")"\n' >"$shared/tools/summarize.sh"
    chmod 1777 "$shared/evaluations" "$shared/cache" "$shared/cache"/{huggingface,nim}
    for user in "${users[@]}"; do
        install -d -m 0755 -o "$user" -g "$(id -gn "$user")" "$dir/shared/$user"
    done
}

# Accounts that can log in by key alone, and the mount point /shared. An account whose home is below $accounts was made
# here or for another set.
make_users() {
    local user home
    lock_accounts
    if [[ ! -d /shared ]]; then
        mkdir /shared
        : >"$accounts/made-shared"
    fi
    printf '%s\n' "$dir" >"$(account_use)"
    for user in "${users[@]}"; do
        home=$accounts/home/$user
        if ! getent passwd "$user" >/dev/null; then
            useradd -m -d "$home" -s /bin/bash -p '*' "$user" 2>>"$dir/log/useradd.log"
        elif [[ $(getent passwd "$user" | cut -d : -f 6) == "$home" && ! -d $home ]]; then
            # The directory was removed by hand, and the account stayed.
            install -d -m 0755 -o "$user" -g "$(id -gn "$user")" "$home"
        fi
    done
    unlock_accounts
}
