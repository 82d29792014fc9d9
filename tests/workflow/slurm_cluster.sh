#!/usr/bin/env bash
# A real Slurm cluster of one node on this machine, for tests: needs root, munge, slurmctld, slurmd and Slurm's commands.
#
#   slurm_cluster.sh start FOLDER [PORT OF slurmctld] [PORT OF slurmd]    then: export PATH=FOLDER/bin:$PATH
#   slurm_cluster.sh stop FOLDER
#
# Everything lies in FOLDER (keep its path short: it holds a socket), nothing in /etc; the daemons listen on 127.x only.
# No accounting, no cgroups. CPUS and MEMORY (MB) set what the node offers; it may be more than the machine has.
set -euo pipefail
action=${1:?start or stop} folder=${2:?a folder} controller_port=${3:-6817} node_port=${4:-6818}
host=$(hostname -s)

alive() { [ -r "$folder/$1.pid" ] && [ "$(cat "/proc/$(cat "$folder/$1.pid")/comm" 2>/dev/null)" = "$1" ]; }

until_true() { # until_true SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "gave up waiting for: $*" >&2; tail -n 5 "$folder"/*.log >&2; return 1; }
        sleep 0.2
    done
}

configure() {
    # The daemons bind to the address that the name of the host stands for, so it must be a loopback address.
    address=$(getent ahostsv4 "$host" | awk 'NR == 1 {print $1}')
    case $address in 127.*) ;; *) echo "$host is $address, not a 127.x address" >&2; exit 1 ;; esac
    umask 022
    mkdir -p "$folder"/{bin,state,spool}
    (umask 077; head -c 1024 /dev/urandom >"$folder/munge.key")
    cat >"$folder/slurm.conf" <<CONF
ClusterName=batchscope-test
SlurmctldHost=$host($address)
SlurmctldPort=$controller_port
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0
EnforcePartLimits=ALL
MinJobAge=300
KillWait=2
ReturnToService=2
SlurmdParameters=config_overrides
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
NodeName=$host NodeAddr=$address Port=$node_port CPUs=${CPUS:-2} RealMemory=${MEMORY:-16000} State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    # A job's environment loses SLURM_CONF on its way through Snakemake's executor, but keeps PATH.
    for name in sbatch srun squeue scancel scontrol sinfo sacct sacctmgr sshare; do
        program=$(command -v "$name") || continue
        printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$folder/slurm.conf" "$program" >"$folder/bin/$name"
        chmod 755 "$folder/bin/$name"
    done
}

start() {
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    alive slurmctld && { echo "already running in $folder" >&2; exit 1; }
    configure
    trap 'stop' ERR
    # --force: a folder that only root may enter is right for a test, though munge expects others to need its socket.
    munged --force --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" --key-file="$folder/munge.key" \
        --seed-file="$folder/munge.seed" --log-file="$folder/munged.log" --num-threads=1
    until_true 10 munge -n --socket="$folder/munge.socket"
    slurmctld -f "$folder/slurm.conf"
    until_true 20 "$folder/bin/scontrol" ping
    slurmd -f "$folder/slurm.conf" -N "$host"
    until_true 20 sh -c "'$folder/bin/sinfo' --noheader --states=idle --format=%n | grep -q ."
}

stop() {
    [ -d "$folder" ] || return 0
    folder=$(cd "$folder" && pwd)
    if alive slurmctld; then # running jobs would outlive the daemons
        "$folder/bin/scancel" --user="$(id -un)" || true
        until_true 15 sh -c "[ -z \"\$('$folder/bin/squeue' --noheader)\" ]" || true
    fi
    for name in slurmd slurmctld munged; do
        alive "$name" || continue
        pid=$(cat "$folder/$name.pid")
        kill "$pid"
        until_true 10 sh -c "! kill -0 $pid" || kill -KILL "$pid"
    done
}

export PATH=$PATH:/usr/sbin:/sbin
"$action"
