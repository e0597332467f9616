# Sourced by launch/serve, tests/run and whatever else calls mpirun: the environment in which MPI ranks share a machine.
# What is set already is kept.
export OMPI_ALLOW_RUN_AS_ROOT="${OMPI_ALLOW_RUN_AS_ROOT:-1}"
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="${OMPI_ALLOW_RUN_AS_ROOT_CONFIRM:-1}"
# More ranks than cores is normal on a small machine; a rank's server and watchdog threads need cores besides its own.
export OMPI_MCA_rmaps_base_oversubscribe="${OMPI_MCA_rmaps_base_oversubscribe:-1}"
export OMPI_MCA_hwloc_base_binding_policy="${OMPI_MCA_hwloc_base_binding_policy:-none}"
# Containers usually forbid reading another process's memory, and OpenMPI complains at each message.
export OMPI_MCA_btl_vader_single_copy_mechanism="${OMPI_MCA_btl_vader_single_copy_mechanism:-none}"
export OMPI_MCA_btl_base_warn_component_unused="${OMPI_MCA_btl_base_warn_component_unused:-0}"
# When one rank has ended badly, mpirun sends the others SIGTERM, which they do not follow, and a second or two later
# SIGKILL. There is nothing to wait for; a drain is another signal.
export OMPI_MCA_odls_base_sigkill_timeout="${OMPI_MCA_odls_base_sigkill_timeout:-0}"
# Threads of one rank that wait must not take the cores of another.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
