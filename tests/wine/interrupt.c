// interrupt FILE COMMAND...: starts a command in a console of its own, presses Ctrl-C there as soon as FILE exists, and
// prints the status with which the command ends. tests/cross uses it.
#include <stdio.h>
#include <string.h>
#include <windows.h>

static BOOL WINAPI stay(DWORD event) { return event == CTRL_C_EVENT; }

// Appends a word in quotes, of which it has none itself.
static void append(char *line, const char *word) {
  strcat(strcat(strcat(line, "\""), word), "\" ");
}

int main(int argc, char **argv) {
  STARTUPINFOA start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
  PROCESS_INFORMATION child;
  DWORD status = 1;
  char line[8192] = "";
  // Wine gives a program a console only at a terminal, so it starts itself again in a console without a window.
  BOOL inner = argc > 1 && strcmp(argv[1], "--inner") == 0;
  if (!inner) {
    append(line, argv[0]);
    append(line, "--inner");
  }
  for (int i = inner ? 3 : 1; i < argc; i++) append(line, argv[i]);
  start.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
  start.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
  start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
  SetConsoleCtrlHandler(stay, TRUE);
  if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, inner ? 0 : CREATE_NO_WINDOW, NULL, NULL, &start, &child)) {
    printf("CreateProcess: error %lu\n", GetLastError());
    return 1;
  }
  if (inner) {
    while (GetFileAttributesA(argv[2]) == INVALID_FILE_ATTRIBUTES) Sleep(10);
    if (!GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)) printf("GenerateConsoleCtrlEvent: error %lu\n", GetLastError());
  }
  WaitForSingleObject(child.hProcess, INFINITE);
  GetExitCodeProcess(child.hProcess, &status);
  if (inner) printf("status 0x%08lx\n", status);
  return 0;
}
