#!/usr/bin/env bash
# A Slurm of one node on loopback, for the tests:  slurm.sh install | start DIR | stop DIR
# Everything that it writes is below DIR; it listens on 127.0.0.1 alone. Needs root.
set -euo pipefail

install() {
    type slurmctld slurmd srun munged > /dev/null 2>&1 && return
    [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || { echo "no Slurm here, and no root to install it"; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    packages="slurmctld slurmd slurm-client munge"
    get="timeout 240 apt-get --yes --no-install-recommends install $packages"
    ($get || { timeout 120 apt-get update && $get; }) > /dev/null 2>&1 || { echo "Slurm could not be installed (apt install $packages)"; exit 1; }
}

start() {
    dir=$(mkdir -p "$1" && cd "$1" && pwd)
    mkdir -p "$dir"/{state,spool,bin}
    # a munge of its own: one that is there already may be stopped by its owner at any time
    [ -f "$dir/munge.key" ] || (umask 077 && head -c 128 /dev/urandom > "$dir/munge.key")
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munge.pid" \
        --log-file="$dir/munge.log" --seed-file="$dir/munge.seed"
    cat > "$dir/slurm.conf" << CONF
ClusterName=loop
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# a job that is put back into the queue waits until its credential has expired: two minutes by default
AuthInfo=socket=$dir/munge.socket,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=${SLURMCTLD_PORT:-16817}
SlurmdPort=${SLURMD_PORT:-16818}
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
ReturnToService=2
# as long as a job has between SIGTERM and SIGKILL: training has to write its restart file in it
KillWait=10
# no accounting database: finished jobs are asked of squeue, and have to stay visible to it
MinJobAge=600
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
# what can never run is refused at once
EnforcePartLimits=ALL
# a node that becomes free is used at once
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname=$(hostname -s) CPUs=$(nproc --all) RealMemory=$(free --mega | awk '/Mem/ {print int(0.8 * $2)}') State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=1-0 State=UP
CONF
    # inside a job the executor drops SLURM_CONF before it calls srun; with Slurm's configuration in its default place,
    # as on a real cluster, that does no harm
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$dir/slurm.conf" "$(type -aP srun | grep -vF "$dir/bin/" | head -1)" > "$dir/bin/srun"
    chmod +x "$dir/bin/srun"
    export SLURM_CONF=$dir/slurm.conf
    slurmctld
    slurmd -N localhost
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --format %t 2> /dev/null)" = idle ] && return
        sleep 0.5
    done
    echo "the node did not become idle:"; tail -5 "$dir"/slurm{ctld,d}.log; exit 1
}

stop() {
    dir=$1
    scancel --quiet --user root 2> /dev/null || true
    for name in slurmd slurmctld munge; do [ ! -f "$dir/$name.pid" ] || kill "$(cat "$dir/$name.pid")" || true; done
}

"$@"
