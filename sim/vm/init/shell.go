package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// raw takes the line discipline's own ideas off the port.
func raw(f *os.File) {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return
	}
	t.Iflag &^= unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG | unix.IEXTEN
	_ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t) // it stays as it was, then
}

// shell gives bash the port as its terminal.
func (g *guest) shell() int {
	tty, err := os.OpenFile(portFile, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 1
	}
	_ = exec.Command("stty", "-F", portFile, "sane", "rows", fmt.Sprint(g.plan.Rows), "cols", fmt.Sprint(g.plan.Cols)).Run()
	cmd := exec.Command("bash", "-i")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = "/root", tty, tty, tty
	cmd.Env = append(os.Environ(), `PS1=vm:\w# `)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	_ = cmd.Run() // its last command's exit code is nobody's business
	return 0
}
